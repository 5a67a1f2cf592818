"""What stored faces teach a network: hard photos, suspected labels, pseudo-labels (``facerec data mine``)."""
