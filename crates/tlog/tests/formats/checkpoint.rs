//! Checkpoints: what is written is read, here and by others, and nothing else is.

use daypass_tlog::checkpoint::Malformed;
use daypass_tlog::{Checkpoint, Tree, leaf};

const EMPTY: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

#[test]
fn a_tree_in_three_lines() {
    let tree = Tree::default();
    let checkpoint = Checkpoint::of("log.example", &tree);
    assert_eq!(checkpoint.to_string(), format!("log.example\n0\n{EMPTY}\n"));
}

#[test]
fn what_is_written_is_read_here_and_by_others() {
    let tree: Tree = (0..300_u32).map(|number| leaf(&number.to_be_bytes())).collect();
    let mut checkpoint = Checkpoint::of("log.example/daypass", &tree);
    for extension in [None, Some("more"), Some("and more")] {
        checkpoint.extensions.extend(extension.map(String::from));
        let text = checkpoint.to_string();
        assert_eq!(text.parse(), Ok(checkpoint.clone()));
        let theirs = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).unwrap();
        assert_eq!(
            (theirs.origin(), theirs.size(), theirs.hash().0),
            ("log.example/daypass", 300, tree.head())
        );
    }
}

#[test]
fn what_is_no_checkpoint_is_not_read() {
    let cases = [
        (String::new(), Malformed::Extension),
        (format!("\n0\n{EMPTY}\n"), Malformed::Origin),
        (String::from("log\n"), Malformed::Size),
        (format!("log\n\n{EMPTY}\n"), Malformed::Size),
        (format!("log\n00\n{EMPTY}\n"), Malformed::Size),
        (format!("log\n+1\n{EMPTY}\n"), Malformed::Size),
        (format!("log\n-1\n{EMPTY}\n"), Malformed::Size),
        (format!("log\n18446744073709551616\n{EMPTY}\n"), Malformed::Size),
        (String::from("log\n0\n"), Malformed::Head),
        (String::from("log\n0\nAAAA\n"), Malformed::Head),
        // Base64 that leaves bits over, or no padding.
        (format!("log\n0\n{}V=\n", &EMPTY[..42]), Malformed::Head),
        (format!("log\n0\n{}\n", &EMPTY[..43]), Malformed::Head),
        (format!("log\n0\n{EMPTY}\n\n"), Malformed::Extension),
        (format!("log\n0\n{EMPTY}"), Malformed::Extension),
    ];
    for (text, why) in cases {
        assert_eq!(text.parse::<Checkpoint>(), Err(why), "{text:?}");
    }
}
