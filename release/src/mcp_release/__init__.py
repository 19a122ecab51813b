"""What the developers of this repository build and check before they publish; not published itself."""
