//! Authenticators: tables of users.
