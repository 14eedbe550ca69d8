//! Numbers of sessions.

use std::{
    fmt::{self, Write as _},
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::SystemTime,
};

/// The number of a session, unique in the process. Printed, in logs and records, it is 20 characters
/// that no other process prints and that sort by age, like the original's: when the process began,
/// which one it is, and the number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

/// What is the same in all session ids of the process: seconds, and something of its own.
fn process_id() -> [u8; 7] {
    static ID: std::sync::OnceLock<[u8; 7]> = std::sync::OnceLock::new();
    *ID.get_or_init(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.unwrap_or_default().as_secs().to_be_bytes();
        let own = RandomState::new().hash_one(std::process::id());
        let mut id = [0; 7];
        id[..4].copy_from_slice(&seconds[4..]);
        id[4..].copy_from_slice(&own.to_be_bytes()[..3]);
        id
    })
}

impl SessionId {
    /// The next number.
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Base 32 whose digits sort as their values do: RFC 4648, section 7, in lower case.
        const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
        let mut bytes = [0; 16];
        bytes[4..11].copy_from_slice(&process_id());
        bytes[11..].copy_from_slice(&self.0.to_be_bytes()[3..]);
        // 96 bits, and four of nothing behind them.
        let bits = u128::from_be_bytes(bytes) << 4;
        for digit in (0..20).rev() {
            let value = usize::try_from((bits >> (5 * digit)) & 31).unwrap_or(0);
            f.write_char(char::from(DIGITS[value]))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_age_and_have_twenty_characters() {
        let texts: Vec<_> = (0..100).map(|_| SessionId::next().to_string()).collect();
        assert!(texts.is_sorted_by(|a, b| a < b), "{texts:?}");
        assert!(texts.iter().all(|text| text.len() == 20), "{texts:?}");
    }
}
