//! Whatever the settings, the sizes of writes and reads and the cuts of the
//! connection: all bytes arrive, in order, and so does the end.

use gost_smux::{Config, Stats, Version};
use proptest::prelude::*;

use crate::support::{Direction, Pair, Task, config, pattern};

#[derive(Debug, Clone)]
struct Plan {
    length: usize,
    write_step: usize,
    read_step: usize,
    /// The reader begins to read after so many rounds.
    delay: usize,
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        0..200_000_usize,
        1..70_000_usize,
        1..70_000_usize,
        0..40_usize,
    )
        .prop_map(|(length, write_step, read_step, delay)| Plan {
            length,
            write_step,
            read_step,
            // Tiny steps for much data only cost time.
            delay,
        })
}

fn settings() -> impl Strategy<Value = Config> {
    (
        prop_oneof![Just(Version::V1), Just(Version::V2)],
        prop_oneof![1..100_usize, 1..65_536_usize],
        prop_oneof![1..5000_usize, 1..300_000_usize],
        prop_oneof![1..3000_usize, 1..300_000_usize],
        0..20_000_usize,
    )
        .prop_map(
            |(version, frame, stream_buffer, send_buffer, copy_below)| Config {
                max_frame_size: frame,
                max_stream_buffer: stream_buffer,
                max_receive_buffer: stream_buffer + 100_000,
                send_buffer,
                copy_below,
                ..config(version)
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_survive(
        settings in settings(),
        plans in prop::collection::vec(plan(), 1..6),
        cuts in prop::collection::vec((any::<bool>(), 1..100_000_usize), 0..60),
        capacity in 100..300_000_usize,
    ) {
        let mut pair = Pair::new(&settings);
        pair.capacity = capacity;
        pair.server.on_accept = Task::stalled;
        let ids: Vec<_> = (0..).zip(&plans).map(|(n, plan)| {
            pair.client.open(Task {
                write_step: plan.write_step,
                ..Task::sending(pattern(n, plan.length))
            })
        }).collect();
        let rounds = cuts.len().max(41);
        let cuts = cuts.iter().copied().cycle().take(if cuts.is_empty() { 0 } else { rounds });
        for (round, (up, max)) in cuts.enumerate() {
            let direction = if up { Direction::ToServer } else { Direction::ToClient };
            pair.carry(direction, max);
            for (plan, &id) in plans.iter().zip(&ids) {
                if plan.delay == round && pair.server.tasks.contains_key(&id) {
                    pair.server.task(id).read_step = plan.read_step;
                    pair.server.resume(id);
                }
            }
        }
        pair.server.on_accept = Task::new;
        pair.settle();
        // Version 1 may be stuck behind a stalled reader, so each in turn.
        for &id in &ids {
            if pair.server.tasks.contains_key(&id) {
                pair.server.resume(id);
                pair.settle();
            }
        }
        for (n, (plan, &id)) in (0..).zip(plans.iter().zip(&ids)) {
            let task = pair.server.task(id);
            prop_assert!(task.ended);
            prop_assert!(task.received == pattern(n, plan.length));
            pair.client.release(id);
            pair.server.release(id);
        }
        pair.settle();
        prop_assert_eq!(pair.client.session.stats(), Stats::default());
        prop_assert_eq!(pair.server.session.stats(), Stats::default());
        prop_assert_eq!(pair.client.failure, None);
        prop_assert_eq!(pair.server.failure, None);
    }
}
