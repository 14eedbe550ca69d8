//! The code: how parity follows from data, and what was lost from both.

use gost_gf256::{inverse, mul, mul_add};

/// A code for so many data and parity shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    data: usize,
    /// For each parity shard the factors of the data shards.
    rows: Vec<Box<[u8]>>,
}

impl Code {
    /// A code; `None` when either number is 0, or both together are more than 256.
    pub fn new(data: usize, parity: usize) -> Option<Self> {
        if data == 0 || parity == 0 || data.checked_add(parity)? > 256 {
            return None;
        }
        // The Vandermonde matrix over the inverse of its own top: row r holds at column c the
        // Lagrange polynomial that is 1 at c and 0 at all other columns, taken at r.
        let differences = |r: usize, but: usize| {
            let others = (0..data).filter(|j| *j != but);
            others.fold(1, |product, j| mul(product, (r ^ j) as u8))
        };
        let scales: Vec<u8> = (0..data).map(|c| inverse(differences(c, c))).collect();
        let row = |r: usize| -> Box<[u8]> {
            let all = differences(r, data);
            let factors = scales.iter().enumerate();
            let factor = |(c, scale): (usize, &u8)| mul(mul(all, inverse((r ^ c) as u8)), *scale);
            factors.map(factor).collect()
        };
        let rows = (data..data + parity).map(row).collect();
        Some(Self { data, rows })
    }

    /// How many data shards a group has.
    pub const fn data(&self) -> usize {
        self.data
    }

    /// How many parity shards a group has.
    pub fn parity(&self) -> usize {
        self.rows.len()
    }

    /// How many shards a group has.
    pub fn total(&self) -> usize {
        self.data + self.rows.len()
    }

    /// The number at which numbering starts again, so that groups stay whole.
    pub fn wrap(&self) -> u32 {
        let total = self.total() as u32;
        u32::MAX / total * total
    }

    /// The factors of the data shards in a parity shard.
    pub fn row(&self, parity: usize) -> &[u8] {
        &self.rows[parity]
    }

    /// Adds a data shard to the sums of all parity shards.
    pub(super) fn add(&self, shard: usize, data: &[u8], sums: &mut [Box<[u8]>]) {
        for (row, sum) in self.rows.iter().zip(sums) {
            mul_add(sum, data, row[shard]);
        }
    }

    /// The matrix that makes the `lost` data shards out of what is left of as many parity shards
    /// once the other data is taken out: a row for each lost shard.
    pub(super) fn solve(&self, lost: &[usize], parity: &[usize]) -> Option<Vec<Vec<u8>>> {
        let n = lost.len();
        let mut rows: Vec<Vec<u8>> = (parity.iter().enumerate())
            .map(|(i, p)| {
                let factors = lost.iter().map(|c| self.rows[*p][*c]);
                factors.chain((0..n).map(|j| u8::from(i == j))).collect()
            })
            .collect();
        for i in 0..n {
            let pivot = (i..n).find(|r| rows[*r][i] != 0)?;
            rows.swap(i, pivot);
            let scale = inverse(rows[i][i]);
            rows[i].iter_mut().for_each(|v| *v = mul(*v, scale));
            let row = rows[i].clone();
            for (_, other) in rows.iter_mut().enumerate().filter(|(r, _)| *r != i) {
                let factor = other[i];
                mul_add(other, &row, factor);
            }
        }
        Some(rows.into_iter().map(|row| row[n..].to_vec()).collect())
    }
}
