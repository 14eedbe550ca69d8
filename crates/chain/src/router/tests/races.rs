//! Several nodes at once.

use super::*;

fn race(world: &World, names: &[&str]) -> (Setup, Vec<Arc<Node>>) {
    let nodes: Vec<_> = names.iter().map(|name| world.node(name)).collect();
    let refs: Vec<_> = nodes.iter().collect();
    let hop = hop_by("race", &refs, Strategy::Parallel);
    let chain = HopChain::new("c", vec![hop]);
    (Setup::new(world, Some(Arc::new(chain))), nodes)
}

#[tokio::test(start_paused = true)]
async fn in_a_race_the_first_to_answer_is_used() {
    let world = World::default();
    world
        .when("dial n1", Act::Hang)
        .when("dial n2", Act::Fail(Why::Reset, Side::Node));
    let (setup, nodes) = race(&world, &["n1", "n2", "n3"]);
    let start = Instant::now();
    let conn = setup.connect().await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(conn.meta.route.as_deref(), Some("n3@n3.test:1 > t:80"));
    // The one that failed by itself is marked, the one that was only slower is not.
    let marks: Vec<_> = nodes.iter().map(|node| fails(&node.marker)).collect();
    assert_eq!(marks, [0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_race_that_all_lose_marks_all() {
    let world = World::default();
    world
        .when("dial n1", Act::Hang)
        .when("dial n2", Act::Fail(Why::Reset, Side::Node));
    let (setup, nodes) = race(&world, &["n1", "n2"]);
    let error = failed(setup.connect().await);
    assert_eq!(error.at_side(), Side::Node);
    let marks: Vec<_> = nodes.iter().map(|node| fails(&node.marker)).collect();
    assert_eq!(marks, [1, 1]);
}

#[tokio::test]
async fn the_winner_of_a_race_that_fails_later_is_left_out_of_the_next() {
    let world = World::default();
    world.when("n1 connect t:80", Act::Fail(Why::Auth, Side::Node));
    world.when("n2 connect t:80", Act::Fail(Why::Auth, Side::Node));
    let (setup, _) = race(&world, &["n1", "n2", "n3"]);
    let conn = setup.connect().await.unwrap();
    assert_eq!(conn.meta.route.as_deref(), Some("n3@n3.test:1 > t:80"));
}
