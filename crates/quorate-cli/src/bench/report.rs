//! What a run of measurements prints and writes.

use super::baseline::Baseline;
use super::goals::{Goal, Rows, goals};
use super::page;
use super::plan::{Point, Unreplicated};
use super::sample::{Sample, Spread};
use crate::render;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Everything that was measured; `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) baseline: BaselineRow,
    pub(super) rows: Vec<Row>,
    pub(super) goals: Vec<Goal>,
}

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    pub(super) processors: usize,
    pub(super) model: String,
    pub(super) kernel: String,
    pub(super) version: &'static str,
}

/// E and L of the run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct BaselineRow {
    pub(super) echo_ops: f64,
    pub(super) echo_p50_us: f64,
    /// How far the measurements before and after lay apart at most, as a share.
    pub(super) drift: f64,
}

/// One point.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// The suite.
    pub(super) id: &'static str,
    #[serde(skip)]
    pub(super) key: String,
    pub(super) workload: String,
    pub(super) clients: u32,
    pub(super) operations_per_request: f64,
    pub(super) ops_per_second: f64,
    /// The lowest and the highest of the repeated measurements.
    pub(super) ops_per_second_range: (f64, f64),
    pub(super) p50_us: f64,
    /// The lowest and the highest of the repeated measurements.
    pub(super) p50_us_range: (f64, f64),
    pub(super) p99_us: f64,
    /// The longest time in which no caller was answered, of all repeated measurements.
    pub(super) longest_gap_ms: Option<f64>,
    /// `None` if the baseline drifted.
    pub(super) ratio: Option<f64>,
    pub(super) ratio_of: String,
    pub(super) durability: String,
    pub(super) switches: BTreeMap<&'static str, bool>,
    /// What else is to be said of it, by name.
    pub(super) also: BTreeMap<&'static str, f64>,
}

/// More than this between two measurements of E and L, and nothing can be compared.
pub(super) const DRIFT_MAX: f64 = 0.2;

/// Against what a row is shown.
#[derive(Clone, Debug)]
pub(super) enum Against {
    /// Operations a second, as a share of E.
    E,
    /// The median latency, as a multiple of L.
    L,
    /// Operations a second, as a share of those of the earlier row with this key.
    Row(String),
}

impl Machine {
    pub(super) fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            model: model.map_or("unknown", |(_, model)| model).to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Row {
    /// The medians of repeated measurements, also beside those of `earlier` rows that the point
    /// names.
    pub(super) fn of(
        id: &'static str,
        point: Point,
        samples: &[Sample],
        baseline: Option<Baseline>,
        earlier: &[Self],
    ) -> Result<Self> {
        let spread = |of: &dyn Fn(&Sample) -> f64| {
            Spread::of(samples.iter().map(of)).context("nothing was measured")
        };
        let ops = spread(&Sample::per_second)?;
        let p50 = spread(&|sample| sample.quantile_us(0.5))?;
        let per_request =
            |sample: &Sample| sample.operations as f64 / sample.requests.max(1) as f64;
        let earlier = |key: &str| {
            let row = earlier.iter().find(|row| row.key == key);
            row.filter(|_| baseline.is_some())
        };
        let (ratio, ratio_of) = match &point.against {
            Against::E => (baseline.map(|base| ops.median / base.echo_ops), "E"),
            Against::L => (baseline.map(|base| p50.median / base.echo_p50_us), "L"),
            Against::Row(key) => {
                (earlier(key).map(|row| ops.median / row.ops_per_second), key.as_str())
            }
        };
        let mut also = BTreeMap::new();
        for name in samples.iter().flat_map(|sample| sample.also.keys()) {
            let values = samples.iter().filter_map(|sample| sample.also.get(name).copied());
            also.extend(Spread::of(values).map(|spread| (*name, spread.median)));
        }
        if let Some(Unreplicated { key, papers }) = &point.unreplicated {
            also.extend(earlier(key).map(|alone| {
                let ratio = match point.against {
                    Against::L => p50.median / alone.p50_us,
                    Against::E | Against::Row(_) => ops.median / alone.ops_per_second,
                };
                ("of_unreplicated", ratio)
            }));
            also.extend(papers.iter().copied());
        }
        let longest_gap = samples.iter().filter_map(|sample| sample.longest_gap).max();
        Ok(Self {
            id,
            key: point.key,
            workload: point.workload,
            clients: point.clients,
            operations_per_request: spread(&per_request)?.median,
            ops_per_second: ops.median,
            ops_per_second_range: ops.range,
            p50_us: p50.median,
            p50_us_range: p50.range,
            p99_us: spread(&|sample| sample.quantile_us(0.99))?.median,
            longest_gap_ms: longest_gap.map(|gap| 1000.0 * gap.as_secs_f64()),
            ratio,
            ratio_of: ratio_of.to_owned(),
            durability: point.target.durability(),
            switches: point.target.switches().on(),
            also,
        })
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let ratio = self
            .ratio
            .map_or_else(|| "drifted".to_owned(), |ratio| format!("{ratio:.3} {}", self.ratio_of));
        let (lowest, highest) = self.ops_per_second_range;
        let also: Vec<String> =
            self.also.iter().map(|(name, value)| format!("{name} {value:.2}")).collect();
        vec![
            self.id.to_owned(),
            self.workload.clone(),
            self.clients.to_string(),
            self.durability.clone(),
            format!("{:.0}", self.ops_per_second),
            format!("{lowest:.0}..{highest:.0}"),
            format!("{:.1}", self.operations_per_request),
            format!("{:.0}", self.p50_us),
            format!("{:.0}", self.p99_us),
            self.longest_gap_ms.map_or_else(|| "-".to_owned(), |gap| format!("{gap:.0}")),
            ratio,
            also.join(", "),
        ]
    }
}

impl Goal {
    pub(super) fn cells(&self) -> Vec<String> {
        let value =
            self.value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
        let met = match (self.value, self.met_floor, self.met_aim) {
            (None, ..) => "",
            (_, _, true) => "aim met",
            (_, true, _) => "floor met",
            _ => "below the floor",
        };
        let (floor, aim) = (self.floor.to_string(), self.aim.to_string());
        vec![self.id.to_owned(), self.measure.to_owned(), value, floor, aim, met.to_owned()]
    }
}

impl Report {
    pub(super) fn new(baseline: BaselineRow, rows: Vec<Row>) -> Self {
        let goals = goals(&Rows(&rows));
        Self { machine: Machine::this(), baseline, rows, goals }
    }

    pub(super) fn show(&self) -> Result<()> {
        let rows: Vec<Vec<String>> = self.rows.iter().map(Row::cells).collect();
        render::table(&ROW_HEADINGS, &rows)?;
        render::line(format_args!(""))?;
        let measured = self.goals.iter().filter(|goal| goal.value.is_some());
        let goals: Vec<Vec<String>> = measured.map(Goal::cells).collect();
        render::table(&GOAL_HEADINGS, &goals)?;
        render::line(format_args!("\n{}", self.about_the_baseline()))
    }

    /// E and L in a sentence.
    pub(super) fn about_the_baseline(&self) -> String {
        let BaselineRow { echo_ops, echo_p50_us, drift } = self.baseline;
        format!(
            "E = {echo_ops:.0} operations a second and L = {echo_p50_us:.1} µs: an echo server \
             without replication, before each suite; they drifted by {:.0} % at most",
            100.0 * drift
        )
    }

    /// The tables as Markdown, for `docs/performance.md`.
    fn tables(&self) -> String {
        let goals: Vec<Vec<String>> = self.goals.iter().map(Goal::cells).collect();
        let rows: Vec<Vec<String>> = self.rows.iter().map(Row::cells).collect();
        let (goals, rows) = (markdown(&GOAL_HEADINGS, &goals), markdown(&ROW_HEADINGS, &rows));
        format!("{}.\n\n{goals}\n{rows}", self.about_the_baseline())
    }

    /// Writes everything into the folder: `bench.json`, `bench.md` and `bench.html`.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        write("bench.json", serde_json::to_string_pretty(self)?)?;
        write("bench.md", self.tables())?;
        write("bench.html", page::page(self)?)
    }
}

fn markdown(headings: &[&str], rows: &[Vec<String>]) -> String {
    let head = headings.join(" | ").to_lowercase();
    let body: String = rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    format!("| {head} |\n|{}\n{body}", "---|".repeat(headings.len()))
}

pub(super) const ROW_HEADINGS: [&str; 12] = [
    "SUITE",
    "WORKLOAD",
    "CLIENTS",
    "DURABILITY",
    "OPS/S",
    "FROM..TO",
    "OPS/REQUEST",
    "P50 µs",
    "P99 µs",
    "GAP ms",
    "RATIO",
    "ALSO",
];

pub(super) const GOAL_HEADINGS: [&str; 6] = ["GOAL", "MEASURE", "VALUE", "FLOOR", "AIM", "MET"];

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bench::load::Load;
    use crate::bench::plan::{AnyLoad, Target};
    use crate::bench::sample::{histogram, note};
    use crate::bench::work::Work;
    use std::time::Duration;

    /// A row of which only this matters.
    pub(in crate::bench) fn row(key: &'static str, ratio: f64, ops_per_second: f64) -> Row {
        Row {
            id: "test",
            key: key.to_owned(),
            workload: key.to_owned(),
            clients: 1,
            operations_per_request: 1.0,
            ops_per_second,
            ops_per_second_range: (ops_per_second, ops_per_second),
            p50_us: 1.0,
            p50_us_range: (1.0, 1.0),
            p99_us: 1.0,
            longest_gap_ms: Some(1.0),
            ratio: Some(ratio),
            ratio_of: "E".to_owned(),
            durability: "memory".to_owned(),
            switches: BTreeMap::new(),
            also: BTreeMap::new(),
        }
    }

    fn sample(operations: u64, micros: u64) -> Sample {
        let mut latencies = histogram().unwrap();
        for _ in 0..operations {
            note(&mut latencies, Duration::from_micros(micros));
        }
        Sample::new(latencies, operations, Duration::from_secs(1)).unwrap()
    }

    fn point(against: Against) -> Point {
        Point {
            key: "point".to_owned(),
            workload: "point".to_owned(),
            clients: 1,
            target: Target::Gateway,
            load: AnyLoad::Own(Load { in_flight: 1, work: Work::EMPTY, span: Duration::ZERO }),
            against,
            unreplicated: Some(Unreplicated {
                key: "alone".to_owned(),
                papers: &[("osdi99", 4.0)],
            }),
            fault: None,
        }
    }

    #[test]
    fn row_is_shown_beside_earlier_ones_unless_the_baseline_drifted() {
        let samples = [sample(50, 20), sample(30, 20), sample(40, 20).and("found", 7.0)];
        let baseline = Some(Baseline { echo_ops: 400.0, echo_p50_us: 5.0 });
        let earlier = [row("alone", 1.0, 80.0), row("other", 1.0, 160.0)];
        let of = |against, baseline| Row::of("test", point(against), &samples, baseline, &earlier);
        let beside_row = of(Against::Row("other".to_owned()), baseline).unwrap();
        assert_eq!((beside_row.ratio, beside_row.ratio_of.as_str()), (Some(0.25), "other"));
        assert_eq!(beside_row.also["of_unreplicated"], 0.5, "operations a second");
        assert_eq!((beside_row.also["osdi99"], beside_row.also["found"]), (4.0, 7.0));
        let latency = of(Against::L, baseline).unwrap();
        assert!((latency.also["of_unreplicated"] - 20.0).abs() < 0.1, "the median latency");
        assert_eq!(of(Against::E, baseline).unwrap().ratio, Some(0.1));
        let drifted = of(Against::Row("other".to_owned()), None).unwrap();
        assert_eq!((drifted.ratio, drifted.also.get("of_unreplicated")), (None, None));
    }

    #[test]
    fn report_has_the_fields_that_readers_count_on() {
        let report = Report::new(BaselineRow::default(), vec![row("coalesced", 0.3, 5.0)]);
        let json = serde_json::to_value(&report).unwrap();
        for field in ["echo_ops", "echo_p50_us", "drift"] {
            assert!(json["baseline"][field].is_number(), "{field}");
        }
        let row = json["rows"][0].as_object().unwrap();
        let fields = [
            "id",
            "workload",
            "clients",
            "operations_per_request",
            "ops_per_second",
            "p50_us",
            "p99_us",
            "longest_gap_ms",
            "ratio",
            "ratio_of",
            "durability",
            "switches",
            "also",
        ];
        assert!(fields.iter().all(|field| row.contains_key(*field)), "{row:?}");
        let goal = json["goals"][0].as_object().unwrap();
        let fields = ["id", "value", "floor", "aim", "met_floor", "met_aim"];
        assert!(fields.iter().all(|field| goal.contains_key(*field)), "{goal:?}");
        assert_eq!(json["goals"][1]["value"], serde_json::Value::Null);
    }
}
