"""The rules of Lit Protocol: scopes, access control conditions, sign-in messages, capabilities, sessions."""
