"""What pages and plots are shown with in tests: extras, a browser, sheets to lay out."""
