//! Finds out which numbers of shards the peer uses, from the kinds of its packets.

use super::Mark;

/// Watches for unbroken runs of packets of one kind.
#[derive(Debug, Default)]
pub(super) struct Tuning {
    last: Option<Mark>,
    run: usize,
    /// The run was seen from its first packet on.
    whole: bool,
    /// The first packet of the last whole run of data.
    start: u32,
    data: usize,
    parity: usize,
}

impl Tuning {
    pub(super) fn sample(&mut self, mark: Mark) {
        let last = self.last.replace(mark);
        match last {
            Some(last) if last.number.checked_add(1) == Some(mark.number) => {
                if last.parity == mark.parity {
                    self.run += 1;
                    return;
                }
                if self.whole && last.parity {
                    self.parity = self.run;
                } else if self.whole {
                    self.data = self.run;
                }
                if !mark.parity {
                    self.start = mark.number;
                }
                self.whole = true;
            }
            _ => {
                // Numbers begin at 0, so does the first run.
                self.whole = mark.number == 0 && !mark.parity;
            }
        }
        self.run = 1;
    }

    /// The numbers of data and parity shards, once both are known and agree with the numbers of
    /// the packets.
    pub(super) fn found(&self) -> Option<(usize, usize)> {
        let total = self.data + self.parity;
        let known = self.data > 0 && self.parity > 0 && total <= 256;
        (known && self.start.is_multiple_of(total as u32)).then_some((self.data, self.parity))
    }
}
