use gost_core::{error::Side, outbound::Ask, outbound::Outbound as _};

use super::*;
use crate::{
    chain::HopChain,
    item::Limits,
    router::Router,
    selector::Strategy,
    testing::{Act, World, chain, hop, request, tcp},
};

fn entry(world: &World, node: &str) -> Entry<dyn Chain> {
    Entry::new(chain(&[&[&world.node(node)]]))
}

fn with_rule<T: ?Sized>(mut entry: Entry<T>, rule: &str) -> Entry<T> {
    entry.matcher = Some(rule.parse().unwrap());
    entry
}

/// The first node of the route, `direct`, or `!` for an error.
async fn choose(group: &ChainGroup, target: &str, tried: &[Arc<Node>]) -> String {
    match group.route(&request(target), tried).await {
        Ok(route) => route.steps.first().map_or_else(
            || "direct".to_owned(),
            |step| step.nodes()[0].addr.name.to_string(),
        ),
        Err(error) => {
            assert_eq!(error.why(), Why::NoRoute);
            "!".to_owned()
        }
    }
}

async fn three_times(group: &ChainGroup, target: &str) -> String {
    let mut all = String::new();
    for _ in 0..3 {
        all += &choose(group, target, &[]).await;
    }
    all
}

#[tokio::test]
async fn a_group_takes_turns_among_the_chains_that_take_the_request() {
    let world = World::default();
    let group = ChainGroup::new(
        vec![
            with_rule(entry(&world, "a"), "Host(`x.test`)"),
            with_rule(entry(&world, "b"), "Host(`y.test`)"),
            entry(&world, "c"),
        ],
        Selector::default(),
    );
    assert_eq!(three_times(&group, "x.test:80").await, "aca");
    assert_eq!(three_times(&group, "y.test:80").await, "cbc");
    assert_eq!(three_times(&group, "z.test:80").await, "ccc");
    // Nine turns were taken.
    assert_eq!(three_times(&group, "x.test:80").await, "cac");
}

#[tokio::test]
async fn what_no_chain_takes_goes_direct() {
    let world = World::default();
    let rules = vec![with_rule(entry(&world, "a"), "Host(`x.test`)")];
    let group = ChainGroup::new(rules, Selector::default());
    assert_eq!(choose(&group, "other.test:80", &[]).await, "direct");
    let none = ChainGroup::new(vec![], Selector::default());
    assert_eq!(choose(&none, "other.test:80", &[]).await, "direct");
}

#[tokio::test]
async fn metadata_of_the_entries_counts() {
    let world = World::default();
    let mut entries = vec![entry(&world, "a"), entry(&world, "b")];
    entries[0].options.backup = true;
    let group = ChainGroup::new(entries, Selector::new(Strategy::Fifo));
    assert_eq!(three_times(&group, "t:80").await, "bbb");
    group.entries()[1].marker.mark();
    assert_eq!(three_times(&group, "t:80").await, "aaa");
}

#[tokio::test]
async fn strategies_about_nodes_mean_in_turn() {
    let world = World::default();
    for strategy in [Strategy::Parallel, Strategy::LowestLatency, Strategy::Round] {
        let entries = vec![entry(&world, "a"), entry(&world, "b")];
        let group = ChainGroup::new(entries, Selector::new(strategy));
        assert_eq!(three_times(&group, "t:80").await, "aba");
    }
}

#[tokio::test]
async fn all_failed_is_no_reason_to_go_direct() {
    let world = World::default();
    let entries = vec![entry(&world, "a"), entry(&world, "b")];
    let group = ChainGroup::new(entries, Selector::default());
    group.entries().iter().for_each(|entry| entry.marker.mark());
    assert_eq!(three_times(&group, "t:80").await, "aaa");
}

#[tokio::test]
async fn a_chain_without_a_way_leaves_the_request_to_the_others() {
    let world = World::default();
    let broken = || Entry::new(chain(&[&[]]));
    let entries = vec![broken(), entry(&world, "b"), broken()];
    let group = ChainGroup::new(entries, Selector::default());
    assert_eq!(three_times(&group, "t:80").await, "bbb");
    let group = ChainGroup::new(vec![broken(), broken()], Selector::default());
    assert_eq!(choose(&group, "t:80", &[]).await, "!");
}

#[tokio::test(start_paused = true)]
async fn connections_teach_the_group_which_chains_work() {
    let world = World::default();
    world.when("dial a", Act::Fail(Why::Reset, Side::Node));
    let entries = vec![entry(&world, "a"), entry(&world, "b")];
    let limits = Limits::new(1, std::time::Duration::from_secs(30));
    let group = Arc::new(ChainGroup::new(
        entries,
        Selector::new(Strategy::Fifo).with_limits(limits),
    ));
    let router = Router::new(world.sockets()).with_chain(group.clone());
    let connect = async || {
        let conn = router.connect(&tcp("t:80"), &Ask::default()).await;
        (
            conn.unwrap().meta.route.unwrap().to_string(),
            world.log().len(),
        )
    };
    let by_b = "b@b.test:1 > t:80".to_owned();
    // The request in flight is taken over by the other chain, the next one goes there at once.
    assert_eq!(connect().await, (by_b.clone(), 5));
    assert_eq!(connect().await, (by_b.clone(), 3));
    assert_eq!(group.entries()[0].marker.fails(), 1);
    // The node counts as failed for ten seconds, but the entry for thirty.
    world.when("dial a", Act::Succeed);
    tokio::time::advance(std::time::Duration::from_secs(29)).await;
    assert_eq!(connect().await, (by_b, 3));
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(connect().await.0, "a@a.test:1 > t:80");
    assert_eq!(group.entries()[0].marker.fails(), 0);
}

#[tokio::test]
async fn a_target_that_refuses_says_nothing_against_a_chain() {
    let world = World::default();
    world.when("a connect t:80", Act::Fail(Why::Refused, Side::Target));
    let hops = Arc::new(HopChain::new("c", vec![hop("h", &[&world.node("a")])]));
    let group = Arc::new(ChainGroup::new(
        vec![Entry::new(hops.clone())],
        Selector::default(),
    ));
    let router = Router::new(world.sockets()).with_chain(group.clone());
    let result = router.connect(&tcp("t:80"), &Ask::default()).await;
    assert_eq!(result.err().unwrap().why(), Why::Refused);
    assert_eq!(group.entries()[0].marker.fails() + hops.marker().fails(), 0);
}

async fn choose_node(group: &HopGroup, tried: &[Arc<Node>]) -> String {
    match group.select(&request("t:80"), tried).await {
        Ok(Choice::Node(node)) => node.addr.name.to_string(),
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert_eq!(error.why(), Why::NoRoute);
            "!".to_owned()
        }
    }
}

#[tokio::test]
async fn a_group_of_hops_prefers_those_with_a_node_that_works() {
    let world = World::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| world.node(name));
    let group = HopGroup::new(
        vec![
            Entry::new(hop("h1", &[&a])),
            with_rule(Entry::new(hop("h2", &[&b])), "Host(`other`)"),
            Entry::new(hop("h3", &[&c])),
        ],
        Selector::new(Strategy::Fifo),
    );
    assert_eq!(choose_node(&group, &[]).await, "a");
    a.marker.mark();
    assert_eq!(choose_node(&group, &[]).await, "c");
    // Both failed: the first again.
    c.marker.mark();
    assert_eq!(choose_node(&group, &[]).await, "a");
    // What was tried is not tried again.
    assert_eq!(choose_node(&group, std::slice::from_ref(&a)).await, "c");
    assert_eq!(choose_node(&group, &[a, c]).await, "!");
    let none = HopGroup::new(vec![], Selector::default());
    assert_eq!(choose_node(&none, &[]).await, "!");
}
