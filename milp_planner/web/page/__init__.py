"""What a person sees: a question as a form, and beside it the sheet that answers it."""
