//! A table of users and passwords.

use std::{collections::HashMap, fmt};

use gost_core::{
    options,
    policy::{Answer, Asker, Authenticator, Credentials},
    values::{FromValue, Value},
};
use gost_loader::{Entry, SourceOptions};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

options! {
    /// Options of the table.
    pub struct TableOptions {
        /// The users: a list of `username` and `password`.
        auths: Users = Users::default(), "auths";
        ..sources: SourceOptions;
    }
}

/// The users of a table, as configured. Printing it shows only how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users(pub Vec<Credentials>);

impl FromValue for Users {
    const KIND: &'static str = "a list of maps with username and password";

    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(items) = value else {
            return None;
        };
        let user = |item: &Value| {
            let Value::Map(map) = item else { return None };
            let text = |key| map.get(key).map_or(Some(String::new()), String::from_value);
            Some(Credentials {
                username: text("username")?,
                password: text("password")?,
            })
        };
        items.iter().map(user).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> String {
        String::new()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.0.len())
    }
}

type Hash = [u8; 32];

/// A table of users. Passwords are kept and compared as digests, in constant time, for users that
/// do not exist too.
///
/// A user without a password has the empty one; it does not stand for any. An empty table lets
/// nobody in.
#[derive(Clone, Default)]
pub struct Table {
    users: HashMap<Box<str>, Hash>,
}

impl Table {
    /// A table of users; of two entries for one name the later counts, and entries without a name
    /// do not.
    pub fn new(users: impl IntoIterator<Item = Credentials>) -> Self {
        let mut table = Self::default();
        for user in users {
            table.add(&user.username, &user.password);
        }
        table
    }

    fn add(&mut self, username: &str, password: &str) {
        if !username.is_empty() {
            self.users.insert(username.into(), digest(password));
        }
    }

    /// Adds the user of a line: name and password with a blank between, or a field and a value.
    /// Comments and empty lines are none.
    ///
    /// # Errors
    /// A user without a password: what is missing may be a mistake, and lets nobody in.
    pub fn add_entry(&mut self, entry: &Entry<'_>) -> Result<(), &'static str> {
        match entry.pair() {
            None => Ok(()),
            Some((_, "")) => Err("has no password"),
            Some((username, password)) => {
                self.add(username, password);
                Ok(())
            }
        }
    }

    /// True when the password is the user's.
    pub(crate) fn knows(&self, given: &Credentials) -> bool {
        let stored = self.users.get(&*given.username);
        let same = digest(&given.password).ct_eq(stored.unwrap_or(&[0; 32]));
        bool::from(same) && stored.is_some()
    }
}

fn digest(password: &str) -> Hash {
    Sha256::digest(password.as_bytes()).into()
}

impl Authenticator for Table {
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        _: &'a Asker,
    ) -> Answer<'a, Option<String>> {
        Answer::Now(self.knows(given).then(|| given.username.clone()))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} users)", self.users.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(username: &str, password: &str) -> Credentials {
        Credentials {
            username: username.into(),
            password: password.into(),
        }
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_counts() {
        let table = Table::new([
            credentials("alice", "secret"),
            credentials("bob", ""),
            credentials("", "x"),
        ]);
        for (user, password, id) in [
            ("alice", "secret", Some("alice")),
            ("alice", "Secret", None),
            ("alice", "", None),
            ("bob", "", Some("bob")),
            ("bob", "anything", None),
            ("carol", "", None),
            ("", "x", None),
        ] {
            let got = table
                .authenticate(&credentials(user, password), &Asker::default())
                .await;
            assert_eq!(got.as_deref(), id, "{user}:{password}");
        }
        assert!(!Table::new([]).knows(&credentials("", "")));
    }

    #[test]
    fn secrets_are_not_printed() {
        let users = Users(vec![credentials("alice", "secret")]);
        let text = format!(
            "{users:?} {:?} {:?}",
            users.0[0],
            Table::new(users.0.clone())
        );
        assert!(!text.contains("secret"), "{text}");
    }
}
