//! The median of a few runs, how sure it is, and the curve through several of them.

/// The median of some values, and an interval that contains the median of all runs there could be
/// with 95 %, if there are at least six values; from fewer, all of them lie in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Median {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Median {
    /// `None` without values.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let middle = count / 2;
        let value = match count {
            0 => return None,
            even if even % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        let cut = cut_off(count);
        Some(Self { value, low: sorted[cut], high: sorted[count - 1 - cut] })
    }
}

/// How many of the smallest and of the largest of so many values lie outside the interval: of each
/// value the chance to lie below the median is one half, so how many do follows the binomial
/// distribution.
fn cut_off(count: usize) -> usize {
    let mut probability = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut tail = probability;
    let mut cut = 0;
    while tail <= 0.025 && 2 * (cut + 1) < count {
        cut += 1;
        probability *= (count - cut + 1) as f64 / cut as f64;
        tail += probability;
    }
    // With `cut` values cut off at each end, fewer than `cut` of them would have to lie below.
    cut.saturating_sub(usize::from(tail > 0.025))
}

/// A curve through points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fit {
    /// a + b x + c x².
    Quadratic(f64, f64, f64),
    /// a x^b.
    Power(f64, f64),
}

impl Fit {
    /// The parabola with the least squares of relative distances; `None` through fewer than three
    /// different places, or where something is zero.
    pub(super) fn quadratic(points: &[(f64, f64)]) -> Option<Self> {
        let mut places: Vec<f64> = points.iter().map(|(x, _)| *x).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        if places.len() < 3 || points.iter().any(|(_, y)| *y == 0.0) {
            return None;
        }
        let mut normal = [[0.0; 4]; 3];
        for (x, y) in points {
            let powers = [1.0, *x, x * x];
            for (row, power) in normal.iter_mut().zip(powers) {
                let products = powers.into_iter().chain([*y]);
                row.iter_mut()
                    .zip(products)
                    .for_each(|(sum, other)| *sum += power * other / (y * y));
            }
        }
        let [a, b, c] = solve(normal);
        Some(Self::Quadratic(a, b, c))
    }

    /// The power with the least squares in logarithms; `None` through fewer than two different
    /// places, or where something is not above zero.
    pub(super) fn power(points: &[(f64, f64)]) -> Option<Self> {
        if points.iter().any(|(x, y)| *x <= 0.0 || *y <= 0.0) {
            return None;
        }
        let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
        let count = logs.len() as f64;
        let mean = |part: fn(&(f64, f64)) -> f64| logs.iter().map(part).sum::<f64>() / count;
        let (x_mean, y_mean) = (mean(|p| p.0), mean(|p| p.1));
        let spread: f64 = logs.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
        if spread < 1e-12 {
            return None;
        }
        let slope = logs.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum::<f64>() / spread;
        Some(Self::Power((y_mean - slope * x_mean).exp(), slope))
    }

    pub(super) fn at(&self, x: f64) -> f64 {
        match *self {
            Self::Quadratic(a, b, c) => a + x * (b + x * c),
            Self::Power(a, b) => a * x.powf(b),
        }
    }

    /// The formula, with the name of the axis.
    pub(super) fn formula(&self, x: &str) -> String {
        match *self {
            Self::Quadratic(a, b, c) => {
                let terms = [(b, format!(" {x}")), (a, String::new())];
                let more = terms.map(|(value, rest)| match number(value.abs()).as_str() {
                    "0" => String::new(),
                    text => format!(" {} {text}{rest}", if value < 0.0 { '−' } else { '+' }),
                });
                format!("{} {x}²{}", number(c), more.concat())
            }
            Self::Power(a, b) => format!("{} · {x}^{}", number(a), number(b)),
        }
    }
}

/// Three digits that count.
pub(super) fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let decimals = (2.0 - digits).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.decimals$}");
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Solves three equations that decide three unknowns.
fn solve(mut rows: [[f64; 4]; 3]) -> [f64; 3] {
    for step in 0..3 {
        let size = |row: &usize| rows[*row][step].abs();
        let largest = (step..3).max_by(|a, b| size(a).total_cmp(&size(b)));
        rows.swap(step, largest.unwrap_or(step));
        let pivot = rows[step];
        for row in rows.iter_mut().skip(step + 1) {
            let factor = row[step] / pivot[step];
            row.iter_mut().zip(pivot).for_each(|(value, other)| *value -= factor * other);
        }
    }
    let mut solution = [0.0; 3];
    for step in (0..3).rev() {
        let known: f64 = (step + 1..3).map(|other| rows[step][other] * solution[other]).sum();
        solution[step] = (rows[step][3] - known) / rows[step][step];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_lies_in_an_interval_of_order_statistics() {
        assert_eq!(Median::of([]), None);
        let few = Median::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!(few, Median { value: 2.0, low: 1.0, high: 3.0 });
        // Of ten the second and the ninth, as in every table: 97.9 %.
        let ten = Median::of((1..=10).map(f64::from)).unwrap();
        assert_eq!(ten, Median { value: 5.5, low: 2.0, high: 9.0 });
        // Of a hundred the fortieth and the sixty-first: 96.5 %.
        let hundred = Median::of((1..=100).map(f64::from)).unwrap();
        assert_eq!((hundred.low, hundred.high), (40.0, 61.0));
    }

    #[test]
    fn parabola_is_found_again() {
        let points = [4.0, 7.0, 10.0, 31.0].map(|n| (n, 2.0 * n * n + n));
        let fit = Fit::quadratic(&points).unwrap();
        assert!((fit.at(100.0) - 20_100.0).abs() < 0.1, "{fit:?}");
        assert_eq!(fit.formula("n"), "2 n² + 1 n");
        assert_eq!(Fit::quadratic(&points[..2]), None);
        assert_eq!(Fit::quadratic(&[(4.0, 1.0), (4.0, 2.0), (4.0, 3.0), (7.0, 1.0)]), None);
    }

    #[test]
    fn formula_has_the_terms_that_count() {
        let formula = |a, b, c| Fit::Quadratic(a, b, c).formula("x");
        assert_eq!(formula(-1e-12, 0.0, 3.0), "3 x²");
        assert_eq!(formula(4.0, -1.5, 3.0), "3 x² − 1.5 x + 4");
    }

    #[test]
    fn power_is_found_again() {
        let points = [4.0_f64, 7.0, 10.0].map(|n| (n, 3_000.0 * n.powf(-1.5)));
        let fit = Fit::power(&points).unwrap();
        assert!((fit.at(16.0) - 3_000.0 / 64.0).abs() < 1e-6, "{fit:?}");
        assert_eq!(fit.formula("n"), "3000 · n^-1.5");
        assert_eq!(Fit::power(&[(4.0, 1.0), (4.0, 2.0)]), None);
        assert_eq!(Fit::power(&[(0.0, 1.0), (4.0, 2.0)]), None);
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let texts = [0.0, 0.012_345, 1.0, 12.34, 123.4, 123_456.0, -0.5].map(number);
        assert_eq!(texts, ["0", "0.0123", "1", "12.3", "123", "123456", "-0.5"]);
    }
}
