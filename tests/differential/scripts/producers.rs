//! DescribeProducers.

use chronikd::proto::ApiKey;
use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::schema::describe_producers::{DescribeProducersRequest, TopicRequest};
use chronikd::proto::schema::init_producer_id::InitProducerIdRequest;

use crate::run::Run;
use crate::scripts::kit::{filled, produce, topic};

pub(crate) fn who_writes(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 2, &[]);
    let first_id = InitProducerIdRequest {
        transaction_timeout_ms: 1000,
        ..InitProducerIdRequest::default()
    };
    let given = [(); 2].map(|()| run.ask(conn, first_id.clone()));
    let partitions = [0, 1];
    let newest = run.range(ApiKey::Produce).1;
    // Each has a partition of its own: Kafka lists several in the order of a hash map.
    for (who, epoch, sequence) in [
        (0, 0, 0),
        (0, 0, 2),
        (1, 0, 7),
        (0, 0, 9),
        (0, 1, 0),
        (1, 0, 9),
    ] {
        run.ask_each_at(newest, conn, |side| {
            let id = given[who][side].producer_id;
            let builder = BatchBuilder::new(0).producer(id, epoch, sequence);
            produce(
                side,
                &topic,
                partitions[who],
                -1,
                &filled(builder, &["a", "b"]),
            )
        });
    }
    let long = "x".repeat(250);
    let long: &'static str = crate::asks::keep::<str>(long);
    for (name, partitions) in [
        (topic.name, vec![0, 1]),
        (topic.name, vec![2, -1, 0]),
        (topic.name, vec![]),
        ("absent", vec![0, 7]),
        ("a b", vec![0]),
        ("", vec![0]),
        ("..", vec![0]),
        (long, vec![0]),
    ] {
        let asked = TopicRequest {
            name,
            partition_indexes: partitions,
        };
        let topics = vec![asked];
        run.ask(conn, DescribeProducersRequest { topics });
    }
    run.ask(conn, DescribeProducersRequest::default());
}
