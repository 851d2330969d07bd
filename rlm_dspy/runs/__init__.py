"""Plans written ahead, and what runs leave behind."""
