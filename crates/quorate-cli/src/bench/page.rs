//! The page that a run of measurements leaves: one file, without scripts, for whoever was not there.

use super::goals::Goal;
use super::report::{GOAL_HEADINGS, Machine, ROW_HEADINGS, Report, Row};
use anyhow::Result;
use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::drawing::IntoDrawingArea;
use plotters::element::Circle;
use plotters::series::LineSeries;
use plotters::style::{Color, RGBColor, WHITE};

/// The size of a plot, in pixels.
const SIZE: (u32, u32) = (640, 360);
/// A blue that everybody can tell from the page (Okabe and Ito, 2008).
const BLUE: RGBColor = RGBColor(0, 114, 178);

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}\
    table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #ccc;\
    padding:.2em .7em;text-align:left}td:nth-child(n+3){font-variant-numeric:tabular-nums}";

const EXPLAINED: &str = "All processes, replicas, clients and whatever they are compared with, ran \
    on this one machine, over loopback. Times of a shared machine are worth little by themselves, \
    so each row is shown beside an echo server that replicates nothing: E is how many operations \
    a second that server answers 64 clients, L how long its answer takes one client, without \
    cryptography and without a disk. For operations a second a ratio of 0.1 E means a tenth of \
    that; for one client a ratio of 5 L means that its answer takes five times as long. Each \
    point was measured several times, in turn with all others of its suite; medians are shown, \
    and the lowest and the highest. Operations that fail end the run. Durability “memory” means \
    that nothing was written to a disk, “sync” that nothing left a replica before what it \
    promises was synced. One server of etcd is believed by its clients; here a quorum of replicas \
    agrees, whatever f of them say. “Unreplicated” is one replica alone, with the same service, \
    links and signatures and nobody to agree with; of_unreplicated is a row beside that one, in \
    latency for one client and else in operations a second, and osdi99 and tocs02 say what the \
    papers measured there. A gap is the longest time in which no caller was answered.";

/// The page as HTML.
pub(super) fn page(report: &Report) -> Result<String> {
    let Machine { processors, model, kernel, version } = &report.machine;
    let machine = format!("quorate {version} on {processors} processors, {model}, Linux {kernel}");
    let goals: Vec<Vec<String>> = report.goals.iter().map(Goal::cells).collect();
    let rows: Vec<Vec<String>> = report.rows.iter().map(Row::cells).collect();
    let curve = curve(&report.rows)?;
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
         <title>quorate bench</title>\n<style>{STYLE}</style>\n<h1>How fast is it?</h1>\n\
         <p>{}</p>\n<p>{}</p>\n<p>{EXPLAINED}</p>\n<h2>Goals</h2>\n{}\n<h2>Measured</h2>\n{}\n{}\n\
         </html>\n",
        escaped(&machine),
        escaped(&report.about_the_baseline()),
        table(&GOAL_HEADINGS, &goals),
        table(&ROW_HEADINGS, &rows),
        curve.map_or_else(String::new, |svg| format!(
            "<h2>Operations a second, by clients with one operation each</h2>\n{svg}"
        )),
    ))
}

fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let line = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells: String = cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let head = line("th", &mut headings.iter().copied());
    let body: String =
        rows.iter().map(|row| line("td", &mut row.iter().map(String::as_str))).collect();
    format!("<table>\n{head}{body}</table>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Throughput over clients, if that was measured.
fn curve(rows: &[Row]) -> Result<Option<String>> {
    let on_curve = |row: &&Row| matches!(row.key.as_str(), "curve" | "headline");
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter(on_curve)
        .map(|row| (f64::from(row.clients), row.ops_per_second))
        .collect();
    let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else {
        return Ok(None);
    };
    if points.len() < 2 {
        return Ok(None);
    }
    let most = points.iter().map(|(_, ops)| *ops).fold(0.0, f64::max);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let clients = first.log2()..last.log2();
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(clients, 0.0..most * 1.05)?;
        chart
            .configure_mesh()
            .x_desc("clients")
            .y_desc("operations a second")
            .x_label_formatter(&|power| format!("{:.0}", power.exp2()))
            .x_labels(points.len())
            .draw()?;
        let places: Vec<(f64, f64)> =
            points.iter().map(|(clients, ops)| (clients.log2(), *ops)).collect();
        chart.draw_series(LineSeries::new(places.clone(), BLUE.stroke_width(2)))?;
        chart.draw_series(places.into_iter().map(|at| Circle::new(at, 3, BLUE.filled())))?;
        root.present()?;
    }
    Ok(Some(svg))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::BaselineRow;
    use crate::bench::report::tests::row;

    #[test]
    fn page_stands_alone_and_shows_every_row_and_goal() {
        let mut rows: Vec<Row> = (0..4).map(|_| row("curve", 0.1, 5000.0)).collect();
        for (power, row) in (0..).zip(&mut rows) {
            row.clients = 1 << power;
        }
        rows.push(row("a <b>", 0.2, 1234.0));
        let page = page(&Report::new(BaselineRow::default(), rows)).unwrap();
        assert!(page.contains("<svg") && page.contains("1234") && page.contains("a &lt;b&gt;"));
        assert!(page.contains("P12") && page.contains("not measured"));
        for outside in ["<script", "http://", "src=", "href="] {
            let found = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(outside), "{outside}");
        }
    }
}
