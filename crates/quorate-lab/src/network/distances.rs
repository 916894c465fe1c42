//! How far apart the places are in which replicas and clients stand: matrices of round trips, those
//! that were published with their source.

use core::time::Duration;
use quorate_adversary::Endpoint;

/// Round trips between places, from the row to the column. On the diagonal stands the round trip
/// within one place, or zero where that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundTrips {
    /// The places, in the order of rows and of columns.
    pub places: Vec<String>,
    /// One row for each place.
    pub rows: Vec<Vec<Duration>>,
}

/// A matrix that somebody published.
struct Published {
    name: &'static str,
    places: &'static [&'static str],
    /// In hundredths of a millisecond, row by row.
    hundredths: &'static [&'static [u32]],
}

/// From the IBM Cloud documentation, "VPC network latency", average latencies from 27 July to
/// 25 August 2024: repository ibm-cloud-docs/vpc, file `_include-segments/network-latency.md`,
/// section of 25 August 2024. The first are between regions, the others between the zones of the
/// region Dallas.
const PUBLISHED: [Published; 2] = [
    Published {
        name: "ibm-2024",
        places: &[
            "dallas",
            "toronto",
            "washington",
            "frankfurt",
            "london",
            "madrid",
            "osaka",
            "sydney",
            "tokyo",
            "sao_paulo",
        ],
        hundredths: &[
            &[0, 3400, 3100, 12300, 11300, 11900, 15000, 18600, 14300, 14600],
            &[3400, 0, 1900, 9300, 8200, 10800, 16800, 21500, 16200, 12900],
            &[3100, 1900, 0, 9100, 7500, 8700, 17200, 21400, 16400, 11800],
            &[12300, 9300, 9100, 0, 1300, 2900, 23200, 25000, 23300, 19800],
            &[11300, 8300, 7500, 1300, 0, 2700, 24400, 26100, 24300, 18800],
            &[12200, 10600, 8800, 2900, 2700, 0, 25700, 27500, 25800, 20900],
            &[15000, 16900, 17200, 23100, 24300, 25700, 0, 12200, 900, 29300],
            &[18600, 21400, 21400, 24900, 26100, 27500, 12200, 0, 11500, 32800],
            &[14300, 16200, 16600, 23300, 24400, 25600, 900, 11500, 0, 28400],
            &[14400, 12800, 11900, 19600, 18700, 20800, 29100, 32800, 28300, 0],
        ],
    },
    Published {
        name: "ibm-dallas-zones-2024",
        places: &["dallas_1", "dallas_2", "dallas_3"],
        hundredths: &[&[9, 203, 220], &[203, 9, 218], &[220, 218, 8]],
    },
];

impl RoundTrips {
    /// The names of the published matrices.
    pub fn published_names() -> impl Iterator<Item = &'static str> {
        PUBLISHED.iter().map(|matrix| matrix.name)
    }

    /// The published matrix of this name.
    pub fn published(name: &str) -> Option<Self> {
        let matrix = PUBLISHED.iter().find(|matrix| matrix.name == name)?;
        let duration = |hundredths: &u32| Duration::from_micros(u64::from(*hundredths) * 10);
        Some(Self {
            places: matrix.places.iter().map(|place| (*place).to_owned()).collect(),
            rows: matrix.hundredths.iter().map(|row| row.iter().map(duration).collect()).collect(),
        })
    }
}

/// Where everybody stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distances {
    /// The name of the matrix if it is a published one.
    pub published: Option<String>,
    /// The matrix.
    pub round_trips: RoundTrips,
    /// The places of the replicas in the order of their numbers, over and over again if there are
    /// more replicas. **Invariant:** not empty, and each is an index into the matrix.
    pub replicas: Vec<usize>,
    /// The place of all clients.
    pub clients: usize,
    /// By how many millionths a message is faster or slower than half the round trip, at most.
    pub jitter_per_million: u64,
}

impl Distances {
    /// How long a message takes, at least and at most; `None` where the matrix does not say it.
    pub(super) fn one_way(&self, from: Endpoint, to: Endpoint) -> Option<(Duration, Duration)> {
        let round_trip = self.round_trips.rows[self.place(from)][self.place(to)];
        if round_trip.is_zero() {
            return None;
        }
        let micros = super::micros(round_trip / 2);
        let jitter = micros.saturating_mul(self.jitter_per_million) / crate::rng::MILLION;
        Some((Duration::from_micros(micros - jitter), Duration::from_micros(micros + jitter)))
    }

    fn place(&self, endpoint: Endpoint) -> usize {
        match endpoint {
            Endpoint::Replica(id) => self.replicas[id.get() as usize % self.replicas.len()],
            Endpoint::Client(_) => self.clients,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pbft::{ClientId, ReplicaId};

    #[test]
    fn published_matrices_are_square_and_nearly_symmetric() {
        for name in RoundTrips::published_names() {
            let matrix = RoundTrips::published(name).expect("it has a name");
            let n = matrix.places.len();
            assert!(matrix.rows.len() == n && matrix.rows.iter().all(|row| row.len() == n));
            for (a, b) in (0..n).flat_map(|a| (0..a).map(move |b| (a, b))) {
                let (there, back) = (matrix.rows[a][b], matrix.rows[b][a]);
                assert!(there > matrix.rows[a][a], "{name}, {a}, {b}");
                let apart = there.abs_diff(back);
                assert!(apart <= Duration::from_millis(3), "{name}, {a}, {b}: {apart:?}");
            }
        }
        assert_eq!(RoundTrips::published("ibm"), None);
    }

    #[test]
    fn a_message_takes_half_the_round_trip_and_the_jitter() {
        let distances = Distances {
            published: None,
            round_trips: RoundTrips::published("ibm-2024").expect("it is there"),
            replicas: vec![0, 3],
            clients: 4,
            jitter_per_million: 100_000,
        };
        let [a, b, c] = [0, 1, 2].map(|id| Endpoint::Replica(ReplicaId::new(id)));
        let client = Endpoint::Client(ClientId::new(7));
        let between = |min, max| Some((Duration::from_micros(min), Duration::from_micros(max)));
        assert_eq!(distances.one_way(a, b), between(55_350, 67_650));
        assert_eq!(distances.one_way(client, b), between(5_850, 7_150));
        assert_eq!(distances.one_way(a, c), None, "replica 2 stands in Dallas again");
    }
}
