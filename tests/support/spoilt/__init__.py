"""Inputs that are spoilt on purpose, and how they must be refused."""
