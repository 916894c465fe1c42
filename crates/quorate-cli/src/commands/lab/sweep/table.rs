//! The tables of a sweep: every run, the medians of each combination, and how near the simulator
//! comes to real processes.

use super::statistics::{Median, number};
use super::{Place, Run, grid};
use crate::args::lab::Setting;
use anyhow::Result;
use quorate_lab::report::Summary;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What is measured in every run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Metric {
    MessagesPerRequest,
    Throughput,
    Latency,
}

impl Metric {
    pub(super) const ALL: [Self; 3] = [Self::MessagesPerRequest, Self::Throughput, Self::Latency];

    /// The name of its column.
    const fn column(self) -> &'static str {
        match self {
            Self::MessagesPerRequest => "messages_per_request",
            Self::Throughput => "operations_per_second",
            Self::Latency => "median_latency_seconds",
        }
    }

    /// What a figure calls it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::MessagesPerRequest => "messages per request",
            Self::Throughput => "throughput, operations/s",
            Self::Latency => "median latency, s",
        }
    }

    fn of(self, summary: &Summary) -> Option<f64> {
        match self {
            Self::MessagesPerRequest => Some(summary.counts.per_request_with_self),
            Self::Throughput => summary.operations_per_second,
            Self::Latency => summary.median_latency_seconds,
        }
    }
}

/// All runs of one combination in one place.
pub(super) struct Row {
    pub(super) values: Vec<String>,
    pub(super) place: Place,
    runs: usize,
    passed: usize,
    pub(super) medians: BTreeMap<Metric, Median>,
}

/// The rows of the table of medians, in the order in which they were run.
pub(super) fn medians(runs: &[Run]) -> Vec<Row> {
    let mut rows: Vec<(Row, Vec<&Summary>)> = Vec::new();
    for Run { values, place, summary } in runs {
        let is_here = |row: &Row| row.values == *values && row.place == *place;
        if !rows.iter().any(|(row, _)| is_here(row)) {
            let (values, place, medians) = (values.clone(), *place, BTreeMap::new());
            rows.push((Row { values, place, runs: 0, passed: 0, medians }, Vec::new()));
        }
        let (row, of_row) = rows.iter_mut().find(|(row, _)| is_here(row)).expect("it was added");
        row.runs += 1;
        row.passed += usize::from(summary.verdict == "pass");
        of_row.push(summary);
    }
    for (row, summaries) in &mut rows {
        for metric in Metric::ALL {
            let values = summaries.iter().filter_map(|summary| metric.of(summary));
            row.medians.extend(Median::of(values).map(|median| (metric, median)));
        }
    }
    rows.into_iter().map(|(row, _)| row).collect()
}

pub(super) fn of_runs(keys: &[&str], runs: &[Run]) -> Result<String> {
    let mut csv = String::new();
    writeln!(
        csv,
        "{},verdict,virtual_seconds,requests_completed,messages,messages_with_self,\
         messages_per_request,view_changes,final_view,place,seed,operations_per_second,\
         median_latency_seconds",
        keys.join(",")
    )?;
    for Run { values, place, summary } in runs {
        let optional = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        let counts = &summary.counts;
        writeln!(
            csv,
            "{},{},{},{},{},{},{},{},{},{},{},{},{}",
            values.join(","),
            summary.verdict,
            optional(summary.virtual_seconds),
            summary.requests_completed,
            counts.total,
            counts.total_with_self,
            counts.per_request_with_self,
            summary.view_changes,
            summary.final_view,
            place.name(),
            summary.seed,
            optional(summary.operations_per_second),
            optional(summary.median_latency_seconds),
        )?;
    }
    Ok(csv)
}

pub(super) fn of_medians(keys: &[&str], rows: &[Row]) -> Result<String> {
    let mut csv = format!("{},place,runs,passed", keys.join(","));
    for metric in Metric::ALL {
        let column = metric.column();
        write!(csv, ",{column},{column}_low,{column}_high")?;
    }
    csv.push('\n');
    for row in rows {
        let place = row.place.name();
        write!(csv, "{},{place},{},{}", row.values.join(","), row.runs, row.passed)?;
        for metric in Metric::ALL {
            match row.medians.get(&metric) {
                Some(Median { value, low, high }) => write!(csv, ",{value},{low},{high}")?,
                None => csv.push_str(",,,"),
            }
        }
        csv.push('\n');
    }
    Ok(csv)
}

/// A prediction that is off by no more than this is a good one.
const GOOD: f64 = 0.30;

/// How near the throughput in the simulator comes to that of real processes, a line for each
/// combination that was run in both.
pub(super) fn comparison(settings: &[Setting], rows: &[Row]) -> Vec<String> {
    let throughput = |row: &Row| row.medians.get(&Metric::Throughput).map(|median| median.value);
    let real = rows.iter().filter(|row| row.place == Place::Processes);
    let pairs = real.filter_map(|real| {
        let same = |row: &&Row| row.place == Place::Simulator && row.values == real.values;
        let predicted = throughput(rows.iter().find(same)?)?;
        Some((grid::describe(settings, &real.values), predicted, throughput(real)?))
    });
    let told = |(what, predicted, measured): (String, f64, f64)| {
        let off = predicted / measured - 1.0;
        let verdict = if off.abs() <= GOOD { "within" } else { "NOT within" };
        format!(
            "{what}: {} operations/s predicted, {} measured on processes: {:+.0} %, {verdict} {:.0} %",
            number(predicted),
            number(measured),
            off * 100.0,
            GOOD * 100.0
        )
    };
    pairs.map(told).collect()
}
