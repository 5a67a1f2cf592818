"""What is done with data sets apart from training: align, convert, describe, check, make pairs."""
