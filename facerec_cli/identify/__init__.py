"""Identification: whom of the enrolled people a photo shows, or nobody."""
