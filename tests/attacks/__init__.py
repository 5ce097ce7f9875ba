"""What an attacker tries, one file for each position that the attacker has."""
