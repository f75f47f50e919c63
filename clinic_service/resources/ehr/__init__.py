"""What health record systems send and ask for, and what they are sent."""
