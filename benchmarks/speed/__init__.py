"""The protocol itself: what a call costs, beside the peers and a floor."""
