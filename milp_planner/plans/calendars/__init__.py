"""The answer over months as plain records: what to sign when, and what each month comes to."""
