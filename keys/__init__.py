"""What a vertex owns: users, API keys, policies, key shares, the keystore and protocol sessions."""
