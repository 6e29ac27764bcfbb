"""The cold-start verdict: what is cold, who competes, who wins, in words."""
