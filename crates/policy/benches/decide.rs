//! What a decision costs with 10,000 rules and 10,000 people, against itself with 10 rules and the same people.
//!
//! Each round asks both policies in turn, so that both see the same machine; what counts is the ratio of their 99th
//! percentiles. Time is the thread's own processor time: what else the machine does is not in it. Run it with
//! `cargo bench -p daypass-policy`; the last line is the same as JSON.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a bench that cannot run says so by panicking"
)]

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::hint::black_box;

use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::person::{Kind, Person};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::Timestamp;
use daypass_policy::{Ask, Decision, Directory, Policy, Source};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 9;
/// Turns of each policy in a round, and questions in a turn.
const TURNS: usize = 20;
const QUESTIONS: usize = 1_000;
/// Five rules each.
const TEAMS: usize = 2_000;
const FEW_TEAMS: usize = 2;
/// Five in each team.
const PEOPLE: usize = 10_000;
const NOON: &str = "2026-03-07T12:00:00Z";

fn main() {
    let office = Office::new();
    let (few, many) = (policy(FEW_TEAMS), policy(TEAMS));
    let (asked_few, asked_many) = (questions(FEW_TEAMS), questions(TEAMS));
    println!(
        "A decision's processor time with 10 and with {} rules, {PEOPLE} people, in µs",
        TEAMS * 5
    );
    println!("  round   10: p50    p99   10,000: p50    p99   ratio of p99");
    let mut ratios = Vec::new();
    let mut worst = Vec::new();
    for round in 0..=ROUNDS {
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for turn in 0..TURNS {
            ask(&few, &office, &asked_few, turn, &mut small);
            ask(&many, &office, &asked_many, turn, &mut large);
        }
        let (small, large) = (percentiles(small), percentiles(large));
        // The first warms up.
        if round == 0 {
            continue;
        }
        let ratio = large.1 / small.1;
        println!(
            "  {round:5} {:9.2} {:6.2} {:13.2} {:6.2} {ratio:14.2}",
            small.0, small.1, large.0, large.1
        );
        ratios.push(ratio);
        worst.push(large.1);
    }
    let (ratio, worst) = (Spread::of(ratios), Spread::of(worst));
    println!("  ratio of the 99th percentiles: {ratio} (target: at most 2)");
    println!(
        "  99th percentile with {} rules: {worst} µs (target: under 50)",
        TEAMS * 5
    );
    let crowd = crowd(&office);
    println!("  one step that asks all {PEOPLE} people: {crowd:.0} µs at the median (no target)");
    let result = serde_json::json!({
        "benchmark": "policy-decision", "rules": TEAMS * 5, "people": PEOPLE, "rounds": ROUNDS,
        "p99_ratio": ratio.json(), "p99_us": worst.json(), "crowd_us": crowd,
    });
    println!("{result}");
}

/// The median of a decision whose one step asks everybody there is: all of them are looked at, and listed for the preview.
fn crowd(office: &Office) -> f64 {
    let text = "version: 1
people: {everybody: {group: everybody}}
connectors: [{name: pg, kind: postgres}]
resources: [{name: db-0, kind: postgres, connector: pg, roles: {read: {}}}]
rules: [{name: peers, allow: everybody, to: {resource: db-0}, approval: [{from: everybody}]}]
";
    let source = Source {
        name: String::from("policy.yaml"),
        text: text.to_owned(),
    };
    let policy = Policy::load(&[source]).unwrap_or_else(|found| panic!("{found}"));
    let question = Question {
        who: id(0),
        items: BTreeSet::from(["db-0/read".parse().unwrap()]),
        break_glass: false,
        allowed: true,
    };
    let mut nanos = Vec::new();
    ask(&policy, office, &[question], 0, &mut nanos);
    percentiles(nanos).0
}

/// The median of the rounds, the least and the most.
struct Spread(f64, f64, f64);

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values[values.len() / 2], values[0], values[values.len() - 1])
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({"median": self.0, "least": self.1, "most": self.2})
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.0, self.1, self.2)
    }
}

/// The 50th and 99th percentile, in microseconds.
fn percentiles(mut nanos: Vec<u64>) -> (f64, f64) {
    nanos.sort_unstable();
    let of = |percent: usize| {
        let nanos = u32::try_from(nanos[nanos.len() * percent / 100]).unwrap();
        f64::from(nanos) / 1_000.0
    };
    (of(50), of(99))
}

/// One turn: its questions one by one, spread over all that there are.
fn ask(policy: &Policy, office: &Office, questions: &[Question], turn: usize, into: &mut Vec<u64>) {
    let now: Timestamp = NOON.parse().unwrap();
    for number in 0..QUESTIONS {
        // A prime step goes through all of them in no order.
        let question = &questions[(turn * QUESTIONS + number) * 7_919 % questions.len()];
        let ask = Ask {
            ticket: Some("PAY-7"),
            break_glass: question.break_glass,
            ..Ask::new(question.who, &question.items, now)
        };
        let before = processor_time();
        let decision = black_box(policy.decide(black_box(&ask), office));
        into.push(processor_time() - before);
        let allowed = matches!(decision, Decision::Allowed(_));
        if allowed != question.allowed {
            panic!("{:?}: {decision:?}", question.items);
        }
    }
}

/// What this thread has run so far, in nanoseconds.
fn processor_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap()
}

struct Question {
    who: PersonId,
    items: BTreeSet<Item>,
    break_glass: bool,
    allowed: bool,
}

/// Everything that members of these teams, a stranger and somebody on call may ask.
fn questions(teams: usize) -> Vec<Question> {
    let mut all = Vec::new();
    for team in 0..teams {
        let mut add = |person: usize, role: &str, break_glass: bool, allowed: bool| {
            let item = format!("db-{team}/{role}");
            all.push(Question {
                who: id(person),
                items: BTreeSet::from([item.parse().unwrap()]),
                break_glass,
                allowed,
            });
        };
        let stranger = (team * 5 + 4_321) % PEOPLE;
        for member in 0..4 {
            add(team * 5 + member, "read", false, true);
            add(team * 5 + member, "write", false, true);
        }
        add(team * 5 + 1, "patch", false, true);
        add(stranger, "view", false, true);
        add(stranger, "write", false, false);
        add(PEOPLE - 1, "read", true, true);
    }
    all
}

/// Five rules and a resource for each team, two guardrails over all, and sets of the whole company beside those of five.
fn policy(teams: usize) -> Policy {
    let shared = "version: 1
connectors: [{name: pg, kind: postgres}]
windows:
  weekend: {days: [sat, sun], from: '06:00', to: '22:00', tz: Europe/Madrid}
  freeze: {days: [mon], from: '00:00', to: '06:00', tz: America/New_York}
guardrails:
  - {name: short, to: {env: production}, max: 4h}
  - {name: frozen, to: {env: production}, forbid: {window: freeze}}
people:
  everybody: {group: everybody}
  security: {group: security}
  sre: {group: sre}
";
    let mut sources = vec![Source {
        name: String::from("shared.yaml"),
        text: shared.to_owned(),
    }];
    let all: Vec<usize> = (0..teams).collect();
    // A single file of all would be larger than a file of a policy may be.
    for (number, teams) in all.chunks(200).enumerate() {
        sources.push(Source {
            name: format!("teams-{number}.yaml"),
            text: of_teams(teams),
        });
    }
    Policy::load(&sources).unwrap_or_else(|found| panic!("{found}"))
}

fn of_teams(teams: &[usize]) -> String {
    let (mut people, mut resources, mut rules) = (String::new(), String::new(), String::new());
    for team in teams {
        writeln!(people, "  team-{team}: {{group: team-{team}}}").unwrap();
        writeln!(
            resources,
            "  - {{name: db-{team}, kind: postgres, connector: pg, labels: {{env: production, team: t{team}}}, \
             roles: {{view: {{}}, read: {{}}, write: {{}}, patch: {{}}}}}}"
        )
        .unwrap();
        write!(
            rules,
            "  - {{name: view-{team}, allow: everybody, to: {{team: t{team}}}, roles: [view], approval: none}}
  - {{name: read-{team}, allow: team-{team}, to: {{team: t{team}}}, roles: [read], approval: [{{from: team-{team}, within: 15m}}]}}
  - name: write-{team}
    allow: team-{team}
    to: {{team: t{team}, env: production}}
    roles: [write]
    when: {{ticket: required}}
    approval: [{{from: manager, within: 15m, else: {{escalate: team-{team}, within: 15m}}}}, {{from: security, within: 30m}}]
    max: 2h
  - {{name: patch-{team}, allow: team-{team}, to: {{team: t{team}}}, roles: [patch], when: {{window: weekend}}, approval: none}}
  - {{name: glass-{team}, allow: sre, to: {{team: t{team}}}, max: 30m, break_glass: {{page: security, review_by: security, within: 24h}}}}
"
        )
        .unwrap();
    }
    format!("version: 1\npeople:\n{people}resources:\n{resources}rules:\n{rules}")
}

/// Ten thousand people in teams of five, twenty of them in security, ten on call.
struct Office {
    people: HashMap<PersonId, Person>,
    by_login: HashMap<String, PersonId>,
    by_group: HashMap<Name, Vec<PersonId>>,
}

impl Office {
    fn new() -> Self {
        let mut office = Self {
            people: HashMap::new(),
            by_login: HashMap::new(),
            by_group: HashMap::new(),
        };
        for number in 0..PEOPLE {
            let login = format!("p{number}");
            let mut groups: BTreeSet<Name> = [String::from("everybody"), format!("team-{}", number / 5)]
                .iter()
                .map(|group| group.parse().unwrap())
                .collect();
            if number % 500 == 4 {
                groups.insert("security".parse().unwrap());
            }
            if number >= PEOPLE - 10 {
                groups.insert("sre".parse().unwrap());
            }
            for group in &groups {
                office.by_group.entry(group.clone()).or_default().push(id(number));
            }
            office.by_login.insert(login.clone(), id(number));
            let person = Person {
                groups,
                manager: Some(id(number / 5 * 5 + 4)).filter(|manager| *manager != id(number)),
                ..Person::new(
                    id(number),
                    Kind::Person,
                    Prose::new([0; 16], &login),
                    Prose::new([0; 16], &login),
                )
            };
            office.people.insert(person.id, person);
        }
        office
    }
}

impl Directory for Office {
    fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.get(&id)
    }

    fn by_login(&self, login: &str) -> Option<&Person> {
        self.by_login.get(login).and_then(|id| self.people.get(id))
    }

    fn members(&self, group: &Name) -> Vec<PersonId> {
        self.by_group.get(group).cloned().unwrap_or_default()
    }

    fn is_locked(&self, _: PersonId) -> bool {
        false
    }
}

fn id(number: usize) -> PersonId {
    let hash = Hash::of(number.to_string().as_bytes());
    PersonId::from_bytes(hash.bytes()[..10].try_into().unwrap())
}
