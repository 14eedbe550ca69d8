use std::collections::BTreeMap;

use gost_core::{options::Options as _, routing::Marker, values::Values};

use super::*;
use crate::item::ItemOptions;

#[derive(Debug, Default)]
struct Thing {
    marker: Marker,
    options: ItemOptions,
}

impl Item for Thing {
    fn marker(&self) -> &Marker {
        &self.marker
    }

    fn options(&self) -> &ItemOptions {
        &self.options
    }
}

/// A thing with metadata `key=value,key=value`.
fn thing(metadata: &str) -> Thing {
    let pairs = metadata.split(',').filter_map(|pair| pair.split_once('='));
    let values = pairs.fold(Values::new(), |values, (key, value)| {
        values.with(key, value)
    });
    let mut errors = Vec::new();
    let options = ItemOptions::read(&values, &mut errors);
    assert!(errors.is_empty(), "{errors:?}");
    Thing {
        marker: Marker::default(),
        options,
    }
}

fn things<const N: usize>(metadata: [&str; N]) -> [Thing; N] {
    metadata.map(thing)
}

/// The places of the chosen in `all`, for so many choices.
fn places(selector: &Selector, all: &[Thing], hash: Option<&str>, times: usize) -> Vec<usize> {
    let refs: Vec<_> = all.iter().collect();
    (0..times)
        .map(|_| match selector.choose(&refs, hash) {
            Some(Chosen::One(one)) => place(all, one),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn place(all: &[Thing], one: &Thing) -> usize {
    all.iter().position(|t| std::ptr::eq(t, one)).unwrap()
}

#[test]
fn reads_the_names_of_strategies() {
    for (names, strategy) in [
        (&["", "round", "rr"][..], Strategy::Round),
        (&["random", "rand"], Strategy::Random),
        (&["fifo", "ha"], Strategy::Fifo),
        (&["hash"], Strategy::Hash),
        (&["parallel"], Strategy::Parallel),
        (&["lowestlatency", "lowest", "ll"], Strategy::LowestLatency),
    ] {
        for name in names {
            assert_eq!(Strategy::parse(name), Some(strategy), "{name}");
        }
    }
    assert_eq!(Strategy::parse("best"), None);
    assert_eq!(Strategy::Parallel.of_group(), Strategy::Round);
    assert_eq!(Strategy::LowestLatency.of_group(), Strategy::Round);
    assert_eq!(Strategy::Hash.of_group(), Strategy::Hash);
}

#[test]
fn takes_turns_with_one_count_for_all_sets() {
    let selector = Selector::new(Strategy::Round);
    let all = things(["", "", ""]);
    assert_eq!(places(&selector, &all, None, 4), [0, 1, 2, 0]);
    // Whoever has no alternative takes turns, too.
    assert_eq!(places(&selector, &all[..1], None, 3), [0, 0, 0]);
    assert_eq!(places(&selector, &all[..2], None, 2), [1, 0]);
}

#[test]
fn the_first_wins_until_it_fails() {
    let selector = Selector::new(Strategy::Fifo);
    let all = things(["", "", ""]);
    assert_eq!(places(&selector, &all, None, 2), [0, 0]);
    all[0].marker.mark();
    assert_eq!(places(&selector, &all, None, 2), [1, 1]);
    all[0].marker.reset();
    assert_eq!(places(&selector, &all, None, 1), [0]);
}

#[test]
fn the_hash_is_crc32_modulo_the_number() {
    // CRC-32 (IEEE) of "123456789" is 0xcbf43926: the check value of its definition.
    let selector = Selector::new(Strategy::Hash);
    let all = things(["", "", "", "", "", "", ""]);
    let expected = usize::try_from(0xcbf4_3926_u32).unwrap() % all.len();
    assert_eq!(places(&selector, &all, Some("123456789"), 3), [expected; 3]);
    // Without a source by chance: every one comes up.
    let mut seen = places(&selector, &all[..2], None, 200);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [0, 1]);
}

#[test]
fn chance_follows_the_weights() {
    for (weights, rolls) in [
        (&[1, 1, 1][..], "012"),
        (&[3, 1, 2], "000122"),
        (&[1, 4], "01111"),
    ] {
        let places: String = (0..weights.iter().sum())
            .map(|roll| weighted(weights, roll).to_string())
            .collect();
        assert_eq!(places, rolls);
    }
    let selector = Selector::new(Strategy::Random);
    let all = things(["weight=8", "weight=0", "weight=-3"]);
    let mut counts = BTreeMap::new();
    for place in places(&selector, &all, None, 5000) {
        *counts.entry(place).or_insert(0) += 1;
    }
    // Not positive counts as 1. Bounds some ten standard deviations away.
    assert!((3700..4300).contains(&counts[&0]), "{counts:?}");
    assert!(
        (300..700).contains(&counts[&1]) && (300..700).contains(&counts[&2]),
        "{counts:?}"
    );
}

#[test]
fn the_quickest_probe_wins() {
    let selector = Selector::new(Strategy::LowestLatency);
    let all = things(["", "", "", ""]);
    // None was probed: the first.
    assert_eq!(places(&selector, &all, None, 2), [0, 0]);
    all[2].marker.probed(Some(Duration::from_millis(30)));
    assert_eq!(places(&selector, &all, None, 1), [2]);
    all[3].marker.probed(Some(Duration::from_millis(20)));
    assert_eq!(places(&selector, &all, None, 1), [3]);
    all[3].marker.probed(None);
    all[3].marker.reset();
    assert_eq!(places(&selector, &all, None, 1), [2]);
}

#[test]
fn parallel_takes_all_that_pass_the_filters() {
    let selector = Selector::new(Strategy::Parallel);
    let all = things(["", "", "backup=true", ""]);
    all[1].marker.mark();
    let refs: Vec<_> = all.iter().collect();
    let Some(Chosen::Race(chosen)) = selector.choose(&refs, None) else {
        panic!("it is a race");
    };
    let chosen: Vec<_> = chosen.into_iter().map(|one| place(&all, one)).collect();
    assert_eq!(chosen, [0, 3]);
    // One alone does not race.
    assert_eq!(places(&selector, &all[..1], None, 1), [0]);
}

#[test]
fn backups_wait_until_nothing_else_is_left() {
    let selector = Selector::new(Strategy::Fifo);
    let all = things(["backup=true", "", "backup=1"]);
    assert_eq!(places(&selector, &all, None, 1), [1]);
    all[1].marker.mark();
    assert_eq!(places(&selector, &all, None, 1), [0]);
}

#[test]
fn filters_leave_alone_what_has_no_alternative() {
    let selector = Selector::new(Strategy::Fifo).with_max_latency(Duration::from_millis(10));
    let one = things(["backup=true"]);
    one[0].marker.probed(None);
    assert_eq!(places(&selector, &one, None, 1), [0]);
    // With several that have failed nothing is left.
    let all = things(["", ""]);
    for thing in &all {
        thing.marker.mark();
    }
    let refs: Vec<_> = all.iter().collect();
    assert!(selector.choose(&refs, None).is_none());
    assert!(selector.choose::<Thing>(&[], None).is_none());
}

#[test]
fn slow_and_unhealthy_ones_are_passed_over() {
    let selector = Selector::new(Strategy::Fifo).with_max_latency(Duration::from_millis(10));
    let all = things(["", "maxFails=9", "", ""]);
    all[0].marker.probed(Some(Duration::from_millis(11)));
    // Not often enough to count as failed, but the last probe counts here.
    all[1].marker.probed(None);
    all[2].marker.probed(Some(Duration::from_millis(10)));
    assert_eq!(places(&selector, &all, None, 1), [2]);
    // One that was never probed passes.
    assert_eq!(places(&selector, &all[2..], None, 1), [0]);
    let Some(Chosen::One(chosen)) = selector.choose(&[&all[0], &all[3]], None) else {
        panic!("one is chosen");
    };
    assert_eq!(place(&all, chosen), 3);
}

#[tokio::test(start_paused = true)]
async fn failures_count_by_the_limits_and_for_their_time() {
    let s = Duration::from_secs;
    // Limits of the selector, metadata, failures, seconds since, failed?
    for (max_fails, timeout, metadata, fails, since, failed) in [
        (0, 0, "", 0, 0, false),
        (0, 0, "", 1, 0, true),
        (0, 0, "", 1, 9, true),
        (0, 0, "", 1, 10, false),
        (3, 30, "", 2, 0, false),
        (3, 30, "", 3, 29, true),
        (3, 30, "", 3, 30, false),
        // What the item says wins, zero means the usual limits.
        (3, 30, "maxFails=1", 1, 29, true),
        (3, 30, "maxFails=0", 1, 29, true),
        (1, 30, "maxFails=2", 1, 0, false),
        (1, 30, "failTimeout=2s", 1, 1, true),
        (1, 30, "failTimeout=2s", 1, 2, false),
        (1, 30, "failTimeout=0", 1, 9, true),
        (1, 30, "failTimeout=0", 1, 10, false),
    ] {
        let limits = Limits::new(max_fails, s(timeout));
        let thing = thing(metadata);
        for _ in 0..fails {
            thing.marker.mark();
        }
        tokio::time::advance(s(since)).await;
        let case = format!("{max_fails} {timeout} {metadata} {fails} {since}");
        assert_eq!(thing.is_failed(limits), failed, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_its_time_one_more_failure_is_enough() {
    let thing = thing("");
    let limits = Limits::new(3, Duration::from_secs(1));
    (0..3).for_each(|_| thing.marker.mark());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!thing.is_failed(limits));
    thing.marker.mark();
    assert!(thing.is_failed(limits));
}
