//! The table of stories: what every client goes through, on one broker.

use crate::client::Client;
use crate::common::skipped;
use crate::stage::{END, Stage};

/// What is played on a stage, and the name that its topics, ids and producers have.
type Story = fn(&mut Stage, &str);

/// All of them. Each has topics, transactional ids and producers of its own, by the name that it is given.
const STORIES: &[(&str, Story)] = &[
    ("ends", what_is_committed_is_read_and_what_is_aborted_is_not),
    ("fence", a_second_instance_fences_the_first),
    ("timeout", a_transaction_that_takes_too_long_is_aborted),
    ("offsets", offsets_move_with_the_transaction),
    ("generation", a_member_of_an_old_generation_moves_nothing),
    ("member", a_member_that_has_left_moves_nothing),
    ("crash", a_transaction_outlives_the_broker),
];

/// Runs all stories of one client.
pub(crate) fn run(client: &'static Client) {
    if let Err(why) = client.command("") {
        return skipped(client.name, &why);
    }
    let mut stage = Stage::new(client);
    for (name, story) in STORIES {
        story(&mut stage, name);
    }
}

/// Every end of a transaction takes one offset in each of its partitions.
fn what_is_committed_is_read_and_what_is_aborted_is_not(stage: &mut Stage, name: &str) {
    let topic = stage.topic(name);
    stage.play(&[
        &format!("init as={name} id={topic}"),
        &format!("begin as={name}"),
        &format!("send as={name} topic={topic} partition=0 values=a,b"),
        &format!("send as={name} topic={topic} partition=1 values=c"),
        &format!("commit as={name}"),
        &format!("begin as={name}"),
        &format!("send as={name} topic={topic} partition=0 values=d"),
        &format!("send as={name} topic={topic} partition=1 values=e,f"),
        &format!("abort as={name}"),
    ]);
    for end in ["abort", "commit"] {
        if stage.client.ends_empty {
            stage.play(&[&format!("begin as={name}"), &format!("{end} as={name}")]);
        }
    }
    stage.commit(name, &topic, 0, &format!("g,{END}"));
    stage.commit(name, &topic, 1, &format!("h,{END}"));
    let read = [0, 1].map(|partition| stage.committed(&topic, partition));
    let expected = [&[(0, "a"), (1, "b"), (5, "g")][..], &[(0, "c"), (5, "h")]];
    for (read, expected) in read.iter().zip(expected) {
        let read: Vec<_> = read
            .iter()
            .map(|(at, value)| (*at, value.as_str()))
            .collect();
        assert_eq!(read, expected, "{}", stage.client.name);
    }
}

/// The second instance ends what the first has left open, and nothing that the first does counts any more.
fn a_second_instance_fences_the_first(stage: &mut Stage, name: &str) {
    let topic = stage.topic(name);
    stage.play(&[&format!("init as=first id={topic}")]);
    stage.commit("first", &topic, 0, "kept");
    stage.play(&[
        "begin as=first",
        &format!("send as=first topic={topic} partition=0 values=lost"),
        &format!("init as=second id={topic}"),
        "begin as=second",
        &format!("send as=second topic={topic} partition=0 values=new"),
    ]);
    stage.fenced("commit as=first");
    stage.play(&["commit as=second"]);
    stage.commit("second", &topic, 0, END);
    assert_eq!(stage.values(&topic, 0), ["kept", "new"]);
}

/// Whoever reads committed records waits for the end, which the broker makes.
fn a_transaction_that_takes_too_long_is_aborted(stage: &mut Stage, name: &str) {
    let topic = stage.topic(name);
    stage.play(&[
        &format!("init as=slow id={topic}-slow timeout=1500"),
        &format!("init as=quick id={topic}-quick"),
        "begin as=slow",
        &format!("send as=slow topic={topic} partition=0 values=late"),
    ]);
    stage.commit("quick", &topic, 0, &format!("kept,{END}"));
    assert_eq!(stage.values(&topic, 0), ["kept"]);
    stage.refused("commit as=slow");
    stage.play(&[&format!("init as=again id={topic}-slow")]);
    stage.commit("again", &topic, 1, END);
    assert!(stage.values(&topic, 1).is_empty());
}

/// A copy that is aborted is made again from the same record on; one that is committed is not.
fn offsets_move_with_the_transaction(stage: &mut Stage, name: &str) {
    let [from, into] = ["from", "into"].map(|end| stage.topic(&format!("{name}-{end}")));
    stage.play(&[&format!("init as={name} id={from}")]);
    stage.commit(name, &from, 0, "r0,r1,r2,r3,r4,r5");
    for (end, offset) in [("abort", -1), ("commit", 3), ("abort", 3), ("commit", 6)] {
        let copy = format!("copy as={name} group={from} from={from} into={into} count=3 end={end}");
        stage.play(&[&copy]);
        assert_eq!(stage.stable_offset(&from, &from), offset, "{end}");
    }
    stage.commit(name, &into, 0, END);
    let copied = stage.values(&into, 0);
    assert_eq!(copied, ["r0", "r1", "r2", "r3", "r4", "r5"]);
}

/// Whoever was in the group before its last rebalance copies in vain.
fn a_member_of_an_old_generation_moves_nothing(stage: &mut Stage, name: &str) {
    an_outdated_copy_counts_nothing(stage, name, false);
}

fn a_member_that_has_left_moves_nothing(stage: &mut Stage, name: &str) {
    an_outdated_copy_counts_nothing(stage, name, true);
}

/// The first member leaves, or a second one joins, between what the first has read and the offset of that. Somebody
/// else copies the record.
fn an_outdated_copy_counts_nothing(stage: &mut Stage, name: &str, leaves: bool) {
    let Some([old_generation, no_member]) = stage.client.outdated else {
        return;
    };
    let [from, into] = ["from", "into"].map(|end| stage.topic(&format!("{name}-{end}")));
    for producer in ["one", "two"] {
        stage.play(&[&format!("init as={producer} id={from}-{producer}")]);
    }
    stage.commit("one", &from, 0, "record");
    let join = |member, reads| format!("join as={member} group={from} topic={from} reads={reads}");
    let send =
        |producer, value| format!("send as={producer} topic={into} partition=0 values={value}");
    stage.play(&[&join("first", 1), "begin as=one", &send("one", "vain")]);
    let expected = if leaves {
        stage.play(&["leave as=first"]);
        no_member
    } else {
        stage.play(&[&join("second", 0)]);
        old_generation
    };
    let said = stage.refused("move as=one of=first");
    assert!(said.contains(expected), "{said}");
    stage.play(&["abort as=one"]);
    if !leaves {
        stage.play(&["leave as=first", "leave as=second"]);
    }
    stage.play(&[&join("third", 1), "begin as=two", &send("two", "copied")]);
    stage.play(&["move as=two of=third", "commit as=two", "leave as=third"]);
    stage.commit("two", &into, 0, END);
    assert_eq!(stage.values(&into, 0), ["copied"]);
    assert_eq!(stage.stable_offset(&from, &from), 1);
}

/// What was open before the crash is committed behind it, with what was sent on both sides.
fn a_transaction_outlives_the_broker(stage: &mut Stage, name: &str) {
    let topic = stage.topic(name);
    stage.play(&[
        &format!("init as={name} id={topic}"),
        &format!("begin as={name}"),
        &format!("send as={name} topic={topic} partition=0 values=before"),
    ]);
    stage.server.crash();
    stage.play(&[
        &format!("send as={name} topic={topic} partition=0 values=after"),
        &format!("commit as={name}"),
    ]);
    stage.server.crash();
    stage.commit(name, &topic, 0, END);
    assert_eq!(stage.values(&topic, 0), ["before", "after"]);
}
