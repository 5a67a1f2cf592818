"""Groups of faces shown to a person, and what that person decides about them."""
