"""Pictures from trained models: of the test conditions, of edited ones, and of a user's own."""
