"""What users did with the cards: kept so that nothing acknowledged is lost, and told as rates."""
