//! Tiles: their paths, what is in them, and which there are.

use std::collections::BTreeMap;

use daypass_tlog::Hash;
use daypass_tlog::proof::{Proof, Subtree, verify_consistency};
use daypass_tlog::tile::{HEIGHT, Kind, LONGEST_ENTRY, Malformed, NoTile, Tile, bundle, root};
use proptest::prelude::*;

use crate::forest::{Forest, Stored, entry};

#[test]
fn paths_are_those_of_the_specification() {
    let level = |level| Kind::Hashes { level };
    let cases = [
        (level(0), 0, 256, "tile/0/000"),
        (level(0), 0, 100, "tile/0/000.p/100"),
        (level(1), 1_234_067, 256, "tile/1/x001/x234/067"),
        (level(7), 67, 1, "tile/7/067.p/1"),
        (Kind::Entries, 999, 256, "tile/entries/999"),
        (Kind::Entries, 1_000, 8, "tile/entries/x001/000.p/8"),
    ];
    for (kind, index, width, path) in cases {
        let tile: Tile = path.parse().unwrap();
        assert_eq!(
            (tile.kind(), tile.index(), tile.width(), tile.to_string().as_str()),
            (kind, index, width, path)
        );
    }
}

#[test]
fn each_tile_has_one_path_only() {
    let others = [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "0/000",
        "tile/8/000",
        "tile/00/000",
        "tile/+1/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/000/000",
        "tile/0/x001",
        "tile/0/x001/x234",
        "tile/0/+01",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/007",
        "tile/0/000.p/",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/../000",
        "tile/entries/x001/x00a/000",
        "tile/0/\u{664}00",
        " tile/0/000",
        "tile/0/000\n",
        "tile/0/x072/x057/x594/x037/x927/936",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ];
    for other in others {
        assert_eq!(other.parse::<Tile>(), Err(NoTile), "{other:?}");
    }
}

#[test]
fn a_tree_is_in_its_tiles() {
    const SIZE: u64 = 256 * 3 + 5;
    let (forest, stored) = (Forest::of(SIZE), Stored::of(SIZE));
    for size in [1, 2, 255, 256, 257, 600, SIZE] {
        let mut tiles = BTreeMap::new();
        for level in 0..=7 {
            for tile in Tile::all(Kind::Hashes { level }, size) {
                let nodes = tile.nodes().map(|index| {
                    let level = level * HEIGHT;
                    forest.node(Subtree { level, index }).unwrap()
                });
                let bytes: Vec<u8> = nodes.flatten().collect();
                let theirs = tlog_tiles::Tile::new(8, level, tile.index(), u32::from(tile.width()), false);
                assert_eq!(theirs.read_data(&stored).unwrap(), bytes);
                // Theirs say the height too; the specification has no other than 8.
                assert_eq!(theirs.path().replacen("tile/8/", "tile/", 1), tile.to_string());
                assert!(tile.is_within(size) && !tile.is_within(size - 1) | tile.is_full() | (level > 0));
                tiles.insert(tile, bytes);
            }
        }
        let node = |subtree| -> Option<Hash> {
            let (tile, range) = Tile::of(subtree, size)?;
            root(tile.hashes(tiles.get(&tile)?).unwrap().get(range)?)
        };
        for old in 1..size {
            let proof = Proof::of_consistency(old, size).unwrap().build(node).unwrap();
            let heads = (forest.head(old), forest.head(size));
            assert_eq!(
                verify_consistency((old, &heads.0), (size, &heads.1), &proof),
                Ok(()),
                "{old} to {size}"
            );
        }
    }
    assert_eq!(
        Tile::all(Kind::Entries, SIZE)
            .map(|tile| tile.nodes().count())
            .sum::<usize>(),
        773
    );
    assert_eq!(
        Tile::all(Kind::Entries, 0).count() + Tile::all(Kind::Hashes { level: 1 }, 255).count(),
        0
    );
}

#[test]
fn entries_come_out_of_a_bundle_as_they_went_in() {
    let entries: Vec<Vec<u8>> = (0..300)
        .map(entry)
        .chain([vec![], vec![7; LONGEST_ENTRY]])
        .collect();
    for tile in Tile::all(Kind::Entries, 302) {
        let range = usize::try_from(tile.nodes().start).unwrap()..usize::try_from(tile.nodes().end).unwrap();
        let bytes = bundle(entries[range.clone()].iter().map(Vec::as_slice)).unwrap();
        assert_eq!(tile.entries(&bytes).unwrap(), entries[range]);
        assert_eq!(tile.entries(&bytes[..bytes.len() - 1]), Err(Malformed::Length));
        assert_eq!(tile.entries(&[bytes, vec![0]].concat()), Err(Malformed::Length));
    }
    let long = vec![0; LONGEST_ENTRY + 1];
    assert_eq!(
        bundle([long.as_slice()]),
        Err(Malformed::TooLong(LONGEST_ENTRY + 1))
    );
}

#[test]
fn a_tile_of_another_width_than_its_name_is_none() {
    let tile: Tile = "tile/0/000.p/3".parse().unwrap();
    for length in [0, 32, 64, 95, 97, 128] {
        assert_eq!(tile.hashes(&vec![0; length]), Err(Malformed::Length), "{length}");
    }
    assert_eq!(tile.hashes(&[0; 96]).unwrap().len(), 3);
}

proptest! {
    #[test]
    fn every_path_that_is_read_is_written_alike(path in "tile/([0-9]{1,2}|entries)(/x[0-9]{3}){0,6}/[0-9]{3}(\\.p/[0-9]{1,3})?") {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path);
        }
    }

    #[test]
    fn no_bytes_make_a_bundle_fall(bytes in prop::collection::vec(any::<u8>(), 0..700), width in 1_u16..=256) {
        let path = if width == 256 { String::from("tile/entries/000") } else { format!("tile/entries/000.p/{width}") };
        let tile: Tile = path.parse().unwrap();
        if let Ok(entries) = tile.entries(&bytes) {
            prop_assert_eq!(bundle(entries).unwrap(), bytes);
        }
    }
}
