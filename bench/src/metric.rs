//! The columns of the table, and samples of them.

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    Gbps,
    CpuPerGb,
    ConnRate,
    CpuPerConn,
    P50,
    P99,
    DatagramRate,
    CpuPerDatagram,
    Loss,
    Idle,
    Rest,
    Start,
}

impl Metric {
    /// All columns, in their order.
    pub(crate) const ALL: [Self; 12] = [
        Self::Gbps,
        Self::CpuPerGb,
        Self::ConnRate,
        Self::CpuPerConn,
        Self::P50,
        Self::P99,
        Self::DatagramRate,
        Self::CpuPerDatagram,
        Self::Loss,
        Self::Idle,
        Self::Rest,
        Self::Start,
    ];

    /// Its head in the table.
    pub(crate) fn head(self) -> &'static str {
        match self {
            Self::Gbps => "Gbit/s",
            Self::CpuPerGb => "CPU s/GB",
            Self::ConnRate => "conn/s",
            Self::CpuPerConn => "CPU ms/conn",
            Self::P50 => "p50 µs",
            Self::P99 => "p99 µs",
            Self::DatagramRate => "1000 datagrams/s",
            Self::CpuPerDatagram => "CPU µs/datagram",
            Self::Loss => "lost %",
            Self::Idle => "KiB idle",
            Self::Rest => "MiB rest",
            Self::Start => "start ms",
        }
    }

    /// Its name in the JSON file.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Gbps => "gbit_per_s",
            Self::CpuPerGb => "cpu_s_per_gb",
            Self::ConnRate => "connections_per_s",
            Self::CpuPerConn => "cpu_ms_per_connection",
            Self::P50 => "p50_us",
            Self::P99 => "p99_us",
            Self::DatagramRate => "thousand_datagrams_per_s",
            Self::CpuPerDatagram => "cpu_us_per_datagram",
            Self::Loss => "lost_percent",
            Self::Idle => "idle_kib",
            Self::Rest => "rest_mib",
            Self::Start => "start_ms",
        }
    }
}

/// What one program showed in one round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    values: [Option<f64>; Metric::ALL.len()],
    /// Cores that other work on the machine took meanwhile.
    pub(crate) disturbance: f64,
}

impl Sample {
    pub(crate) fn set(&mut self, metric: Metric, value: f64) {
        // Nothing was counted if it is not finite.
        self.values[metric as usize] = value.is_finite().then_some(value);
    }

    pub(crate) fn get(&self, metric: Metric) -> Option<f64> {
        self.values[metric as usize]
    }
}

/// The middle of some figures and their bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Nothing of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[half]
        } else {
            f64::midpoint(values[half - 1], values[half])
        };
        Some(Self { median, min, max })
    }
}

/// Geometric mean of the positive ones among `values`; nothing without any.
pub(crate) fn geometric_mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values
        .into_iter()
        .filter(|value| *value > 0.0)
        .map(f64::ln)
        .collect();
    if logs.is_empty() {
        return None;
    }
    Some((logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// The figure below which a share `p` of all lies; not a number if there are
/// none. Leaves `values` in another order.
pub(crate) fn percentile(values: &mut [u32], p: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    #[expect(clippy::cast_sign_loss, reason = "p is not negative")]
    let rank = ((values.len() - 1) as f64 * p).round() as usize;
    let (_, value, _) = values.select_nth_unstable(rank);
    f64::from(*value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_place() {
        for (at, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(metric as usize, at);
        }
        let mut sample = Sample::default();
        sample.set(Metric::Start, 2.0);
        sample.set(Metric::Gbps, f64::NAN);
        assert_eq!(
            (sample.get(Metric::Start), sample.get(Metric::Gbps)),
            (Some(2.0), None)
        );
    }

    #[test]
    fn spreads_are_medians_with_bounds() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(
            spread(&[3.0, 1.0, 2.0]),
            Some(Spread {
                median: 2.0,
                min: 1.0,
                max: 3.0
            })
        );
        assert_eq!(
            spread(&[4.0, 1.0]),
            Some(Spread {
                median: 2.5,
                min: 1.0,
                max: 4.0
            })
        );
    }

    #[test]
    fn a_geometric_mean_treats_double_and_half_alike() {
        let mean = geometric_mean([0.5, 2.0, 1.0]).unwrap();
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        assert_eq!(geometric_mean([0.0, -1.0]), None);
    }

    #[test]
    fn percentiles_count_from_the_smallest() {
        let mut values: Vec<u32> = (0..=100).rev().collect();
        assert!((percentile(&mut values, 0.5) - 50.0).abs() < 1e-9);
        assert!((percentile(&mut values, 0.99) - 99.0).abs() < 1e-9);
        assert!(percentile(&mut [], 0.5).is_nan());
    }
}
