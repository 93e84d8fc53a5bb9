//! Charts: bars and columns from numbers. Only numbers are worked out here; the templates beside it draw them, so that every
//! name is escaped as all text on pages is. What a colour says, a pattern, a place or a word says too.

/// So many units a chart is high, or a bar long. They are stretched to what there is room for.
const FULL: u64 = 1_000;
/// The air between two columns, of the width of one.
const AIR: u64 = 4;

/// Rows of bars, each with its name before it and its value in words behind it: `bars.html`.
#[derive(Debug)]
pub(super) struct Bars {
    /// What they show.
    pub(super) title: String,
    pub(super) rows: Vec<Bar>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    /// Of a thousand.
    pub(super) length: u64,
    pub(super) value: String,
}

impl Bars {
    /// `rows`: names, values, and these in words. The longest is as long as there is room.
    pub(super) fn new(title: &str, rows: impl IntoIterator<Item = (String, u64, String)>) -> Self {
        let rows: Vec<_> = rows.into_iter().collect();
        let most = rows.iter().map(|(_, value, _)| *value).max().unwrap_or(0);
        Self::of(title, most, rows)
    }

    /// The same against a length that is full.
    pub(super) fn of(title: &str, most: u64, rows: impl IntoIterator<Item = (String, u64, String)>) -> Self {
        let bar = |(name, value, words)| Bar {
            name,
            length: scaled(value, most),
            value: words,
        };
        Self {
            title: title.to_owned(),
            rows: rows.into_iter().map(bar).collect(),
        }
    }
}

/// What a piece of a column is: how it is drawn, and what the legend calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// The class; the pattern is called so too.
    pub(super) class: &'static str,
    pub(super) name: &'static str,
}

/// Columns of pieces on each other, in the order of time: `columns.html`.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) title: String,
    pub(super) kinds: Vec<Kind>,
    pub(super) columns: Vec<Column>,
    /// How wide the whole is.
    pub(super) width: u64,
    /// What the highest one stands for.
    pub(super) most: u64,
    /// What stands below: the first, one in the middle, the last.
    pub(super) below: Vec<String>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Column {
    /// In words: what it is and what is in it.
    pub(super) title: String,
    pub(super) x: u64,
    pub(super) width: u64,
    pub(super) pieces: Vec<Piece>,
}

/// A piece of one.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) class: &'static str,
    pub(super) y: u64,
    pub(super) height: u64,
}

impl Columns {
    /// `columns`: their names, and a number for each kind, from the bottom up.
    pub(super) fn new<const N: usize>(
        title: &str,
        kinds: [Kind; N],
        columns: impl IntoIterator<Item = (String, [u64; N])>,
    ) -> Self {
        let columns: Vec<_> = columns.into_iter().collect();
        let sums = columns.iter().map(|(_, values)| values.iter().sum::<u64>());
        let most = sums.max().unwrap_or(0);
        let below = [0, columns.len() / 2, columns.len().saturating_sub(1)];
        let few = if columns.len() < 3 { 1 } else { below.len() };
        let below = below.into_iter().take(few).filter_map(|nth| columns.get(nth));
        Self {
            title: title.to_owned(),
            kinds: kinds.to_vec(),
            below: below.map(|(name, _)| name.clone()).collect(),
            width: AIR * u64::try_from(columns.len().max(1)).unwrap_or(1),
            columns: columns
                .iter()
                .zip(0..)
                .map(|((name, values), nth)| column(name, (&kinds, values), nth * AIR, most))
                .collect(),
            most,
        }
    }

    /// Whether there is nothing to draw.
    pub(super) const fn is_empty(&self) -> bool {
        self.most == 0
    }

    /// How high it is.
    pub(super) const fn height(&self) -> u64 {
        FULL
    }
}

fn column(name: &str, (kinds, values): (&[Kind], &[u64]), x: u64, most: u64) -> Column {
    let mut said = Vec::new();
    let (mut below, mut pieces) = (0, Vec::new());
    for (kind, value) in kinds.iter().zip(values).filter(|(_, value)| **value > 0) {
        said.push(format!("{value} {}", kind.name));
        // From the sums, so that what is rounded does not add up.
        let (from, to) = (scaled(below, most), scaled(below + value, most));
        pieces.push(Piece {
            class: kind.class,
            y: FULL - to,
            height: to - from,
        });
        below += value;
    }
    let said = if said.is_empty() {
        String::from("nothing")
    } else {
        said.join(", ")
    };
    Column {
        title: format!("{name}: {said}"),
        x,
        width: AIR - 1,
        pieces,
    }
}

/// So much of what is full; something that there is can be seen.
fn scaled(value: u64, most: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(FULL);
    let scaled = scaled.checked_div(u128::from(most)).unwrap_or(0);
    let least = u64::from(value > 0);
    u64::try_from(scaled).unwrap_or(FULL).clamp(least, FULL)
}

#[cfg(test)]
mod tests {
    use askama::Template;

    use super::*;

    #[derive(Template)]
    #[template(source = r#"{% include "bars.html" %}"#, ext = "html")]
    struct OfBars {
        chart: Bars,
    }

    #[derive(Template)]
    #[template(source = r#"{% include "columns.html" %}"#, ext = "html")]
    struct OfColumns {
        chart: Columns,
    }

    const KINDS: [Kind; 2] = [
        Kind {
            class: "agreed",
            name: "agreed",
        },
        Kind {
            class: "denied",
            name: "denied",
        },
    ];
    const HOSTILE: &str = "</title><script>alert(1)</script>\" onload=\"x";

    #[test]
    fn bars_are_as_long_as_their_values_say() {
        let rows = [("a", 10), ("b", 5), ("c", 0), ("d", 1)];
        let rows = rows.map(|(name, value)| (name.to_owned(), value, value.to_string()));
        let lengths: Vec<u64> = Bars::new("t", rows).rows.iter().map(|bar| bar.length).collect();
        assert_eq!(lengths, [1_000, 500, 0, 100]);
        let none = Bars::new("t", [("a".to_owned(), 0, String::new())]);
        assert_eq!(none.rows[0].length, 0);
    }

    #[test]
    fn what_is_little_is_seen_and_what_is_huge_fits() {
        assert_eq!(scaled(1, 1_000_000), 1);
        assert_eq!(scaled(u64::MAX, u64::MAX), FULL);
        assert_eq!(scaled(5, 3), FULL);
        assert_eq!(scaled(0, 0), 0);
    }

    #[test]
    fn pieces_stand_on_each_other_without_a_gap() {
        let columns = [
            ("one".to_owned(), [1, 2]),
            ("two".to_owned(), [0, 0]),
            ("three".to_owned(), [3, 0]),
        ];
        let chart = Columns::new("t", KINDS, columns);
        assert_eq!((chart.most, chart.width, chart.below.len()), (3, 12, 3));
        let pieces = &chart.columns[0].pieces;
        assert_eq!(pieces[0].y + pieces[0].height, FULL);
        assert_eq!(pieces[1].y + pieces[1].height, pieces[0].y);
        assert_eq!(pieces[1].y, 0);
        assert!(chart.columns[1].pieces.is_empty());
        assert_eq!(chart.columns[1].title, "two: nothing");
        assert_eq!(chart.columns[0].title, "one: 1 agreed, 2 denied");
    }

    #[test]
    fn names_are_text_whatever_they_say() {
        let bars = Bars::new(HOSTILE, [(HOSTILE.to_owned(), 1, HOSTILE.to_owned())]);
        let columns = Columns::new(HOSTILE, KINDS, [(HOSTILE.to_owned(), [1, 1])]);
        for html in [
            OfBars { chart: bars }.render().unwrap(),
            OfColumns { chart: columns }.render().unwrap(),
        ] {
            assert!(!html.contains("<script") && !html.contains("\" onload"), "{html}");
            assert!(
                html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"),
                "{html}"
            );
        }
    }

    #[test]
    fn each_picture_says_what_it_is_and_nothing_is_styled_in_place() {
        let bars = Bars::new("Busiest", [("orders".to_owned(), 3, "3 requests".to_owned())]);
        let bars = OfBars { chart: bars }.render().unwrap();
        assert!(
            bars.contains(r#"role="img""#) && bars.contains("<title>orders: 3 requests</title>"),
            "{bars}"
        );
        let columns = Columns::new("Requests", KINDS, [("May 1".to_owned(), [1, 1])]);
        let columns = OfColumns { chart: columns }.render().unwrap();
        assert!(
            columns.contains(r#"role="img""#) && columns.contains("<title>Requests"),
            "{columns}"
        );
        for html in [bars, columns] {
            assert!(
                !html.contains("style="),
                "the policy of contents forbids it: {html}"
            );
        }
    }
}
