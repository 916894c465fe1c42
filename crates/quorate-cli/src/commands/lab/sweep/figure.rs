//! The figure of a sweep: what was measured over the first of its keys, with intervals and the
//! curve through the medians. A vector graphic without a script, for a page or a paper.

use super::statistics::{Fit, number};
use super::table::{Metric, Row};
use super::{Place, grid};
use crate::args::lab::Setting;
use anyhow::{Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{ErrorBar, PathElement};
use plotters::series::LineSeries;
use plotters::style::{BLACK, Color, IntoTextStyle, RGBColor, WHITE};
use std::collections::BTreeMap;

/// The size of one plot, in pixels.
const WIDTH: u32 = 460;
const HEIGHT: u32 = 400;
const TITLE_HEIGHT: u32 = 34;
const LINE_HEIGHT: u32 = 20;
/// The most curves in one plot.
const CURVES_MAX: usize = COLOURS.len();
/// Colours that everybody can tell apart (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];
/// Into how many pieces a curve is drawn.
const PIECES: u32 = 100;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The medians of one curve over the axis.
struct Curve<'a> {
    name: String,
    points: Vec<(f64, &'a Row)>,
}

/// The figure with these lines below it, or why there is none.
pub(super) fn draw(
    title: &str,
    settings: &[Setting],
    rows: &[Row],
    below: &[String],
) -> Result<Result<String, String>> {
    let key = &settings[0].key;
    let curves = match curves(settings, rows) {
        Ok(curves) => curves,
        Err(why) => return Ok(Err(why)),
    };
    let mut svg = String::new();
    {
        let height = HEIGHT + TITLE_HEIGHT;
        let size = (WIDTH * Metric::ALL.len() as u32, height + LINE_HEIGHT * below.len() as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (upper, lower) = root.split_vertically(height);
        for (line, y) in below.iter().zip((0..).step_by(LINE_HEIGHT as usize)) {
            lower.draw_text(line, &("sans-serif", 13).into_text_style(&lower), (16, y))?;
        }
        let plots = upper.titled(title, ("sans-serif", 18))?;
        let plots = plots.split_evenly((1, Metric::ALL.len()));
        for (plot, metric) in plots.iter().zip(Metric::ALL) {
            draw_metric(plot, key, metric, &curves)?;
        }
        root.present()?;
    }
    Ok(Ok(svg))
}

fn curves<'a>(settings: &[Setting], rows: &'a [Row]) -> Result<Vec<Curve<'a>>, String> {
    let key = &settings[0].key;
    let has_both = rows.iter().any(|row| row.place == Place::Processes);
    let mut curves: BTreeMap<String, Vec<(f64, &Row)>> = BTreeMap::new();
    for row in rows {
        let x = &row.values[0];
        let x: f64 = x.parse().map_err(|_| format!("{key}={x} is no number to be an axis"))?;
        let mut name = grid::describe(&settings[1..], &row.values[1..]);
        if has_both {
            let place = match row.place {
                Place::Simulator => "predicted",
                Place::Processes => "on processes",
            };
            name = if name.is_empty() { place.to_owned() } else { format!("{name}, {place}") };
        }
        curves.entry(name).or_default().push((x, row));
    }
    if curves.len() > CURVES_MAX {
        return Err(format!("{} curves cannot be told apart; {CURVES_MAX} can", curves.len()));
    }
    let mut xs: Vec<f64> = curves.values().flatten().map(|(x, _)| *x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    if xs.len() < 2 {
        return Err(format!("one value of {key} makes no axis"));
    }
    Ok(curves.into_iter().map(|(name, points)| Curve { name, points }).collect())
}

/// The curve that a metric follows over the number of replicas.
fn fit(metric: Metric, points: &[(f64, f64)]) -> Option<Fit> {
    match metric {
        Metric::MessagesPerRequest => Fit::quadratic(points),
        Metric::Throughput | Metric::Latency => Fit::power(points),
    }
}

fn draw_metric(plot: &Area<'_>, key: &str, metric: Metric, curves: &[Curve<'_>]) -> Result<()> {
    let of = |row: &Row| row.medians.get(&metric).copied();
    let medians = || curves.iter().flat_map(|curve| &curve.points).filter_map(|(_, row)| of(row));
    let xs = || curves.iter().flat_map(|curve| &curve.points).map(|(x, _)| *x);
    let (least, most) = (xs().fold(f64::MAX, f64::min), xs().fold(f64::MIN, f64::max));
    let margin = (most - least) * 0.06;
    let top = medians().map(|median| median.high).fold(0.0, f64::max) * 1.15;
    let mut chart = ChartBuilder::on(plot)
        .margin(12)
        .caption(metric.title(), ("sans-serif", 15))
        .x_label_area_size(38)
        .y_label_area_size(58)
        .build_cartesian_2d((least - margin)..(most + margin), 0.0..top.max(f64::MIN_POSITIVE))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.1))
        .x_desc(key)
        .x_label_formatter(&|x| number(*x))
        .y_label_formatter(&|y| number(*y))
        .label_style(("sans-serif", 12))
        .axis_desc_style(("sans-serif", 13))
        .draw()?;
    for (curve, colour) in curves.iter().zip(COLOURS) {
        let points: Vec<(f64, f64)> =
            curve.points.iter().filter_map(|(x, row)| Some((*x, of(row)?.value))).collect();
        let fit = fit(metric, &points);
        if let Some(fit) = fit {
            let step = (most - least) / f64::from(PIECES);
            let line = (0..=PIECES).map(|piece| least + step * f64::from(piece));
            chart.draw_series(LineSeries::new(line.map(|x| (x, fit.at(x))), &colour))?;
        }
        let formula = fit.map(|fit| fit.formula(key));
        let name = Some(curve.name.clone()).filter(|name| !name.is_empty());
        let label: Vec<String> = [name, formula].into_iter().flatten().collect();
        let bars = curve.points.iter().filter_map(|(x, row)| {
            let median = of(row)?;
            let style = colour.filled();
            Some(ErrorBar::new_vertical(*x, median.low, median.value, median.high, style, 9))
        });
        let series = chart.draw_series(bars)?;
        if !label.is_empty() {
            series
                .label(label.join(": "))
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour));
        }
    }
    chart
        .configure_series_labels()
        .position(match metric {
            Metric::Throughput => SeriesLabelPosition::UpperRight,
            Metric::MessagesPerRequest | Metric::Latency => SeriesLabelPosition::UpperLeft,
        })
        .background_style(WHITE.mix(0.85))
        .label_font(("sans-serif", 12))
        .draw()
        .map_err(|error| anyhow!("the figure cannot be drawn: {error}"))?;
    Ok(())
}
