"""What the programs in a message's way may ask: found, absent or unavailable, never a guess."""
