"""What is shown: tables, figures, curves, the user study and the page that holds them all."""
