//! What a copy reads stays until it is read.

use super::*;
use crate::objects::copy::Source;

async fn collected(mut body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = futures_util::StreamExt::next(&mut body).await {
        if let Piece::Data(data) = piece.unwrap() {
            bytes.extend_from_slice(&data);
        }
    }
    bytes
}

#[tokio::test]
async fn the_source_of_a_copy_outlives_its_replacement_until_it_is_read() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/source", b"as it was").await;
    let source = CopySource {
        bucket: bucket(),
        key: key("ali/source"),
        version: None,
        condition: ReadCondition::default(),
        expected_owner: None,
    };
    let Source { record, pin, unlocked, .. } = world.objects.copy_source(&world.asks(), &source).await.unwrap();
    let body = world.objects.lazy_body(record, pin, unlocked, None);

    world.put("ali/source", b"replaced meanwhile").await;
    world.clock.advance(1);
    assert_eq!(world.objects.collect_round(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(collected(body).await, b"as it was");
    assert_eq!(world.objects.collect_round(Duration::ZERO).await.unwrap(), 1);
}
