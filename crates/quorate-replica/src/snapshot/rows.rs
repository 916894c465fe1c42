//! The rows of a snapshot and the database they are in. Two tables have the same form: a row is
//! named by a key of the state, a generation, and the number of a piece, and the pieces of one key
//! and generation make one content. An empty content says that there is none any more.

use redb::{Database, ReadableDatabase, TableDefinition};

/// A row's name: the key, the generation, the piece.
type Name = (&'static [u8], u64, u16);

/// A table of the form described above.
pub(super) type Table = TableDefinition<'static, Name, &'static [u8]>;

/// The pages by their first keys, in one piece each.
pub(super) const PAGES: Table = Table::new("pages");

/// The large values by their keys.
pub(super) const VALUES: Table = Table::new("values");

/// The record of the current snapshot.
const RECORD: TableDefinition<'static, (), &'static [u8]> = TableDefinition::new("record");

/// The size of every piece but the last, in bytes: with the longest name it takes just less than
/// the database's unit of sixteen pages, of which a row takes a power of two.
const PIECE_BYTES_MAX: usize = 62 << 10;

/// What removing one row is taken to cost, in bytes: about the page of the database it dirties.
const REMOVAL_BYTES: usize = 4096;

/// A piece to write.
pub(super) struct Row<'a> {
    key: &'a [u8],
    generation: u64,
    piece: u16,
    content: Vec<u8>,
}

impl<'a> Row<'a> {
    /// A content that is one piece.
    pub(super) const fn whole(key: &'a [u8], generation: u64, content: Vec<u8>) -> Self {
        Self { key, generation, piece: 0, content }
    }

    /// The pieces of a value, or that there is none any more.
    pub(super) fn pieces(
        key: &'a [u8],
        generation: u64,
        value: Option<&'a [u8]>,
    ) -> impl Iterator<Item = Self> {
        let gone = value.is_none().then(|| Self::whole(key, generation, Vec::new()));
        let pieces = (0..).zip(value.unwrap_or_default().chunks(PIECE_BYTES_MAX));
        let row = move |(piece, content): (u16, &[u8])| Self {
            key,
            generation,
            piece,
            content: content.to_vec(),
        };
        gone.into_iter().chain(pieces.map(row))
    }
}

/// The rows of one key to remove: those of the generations below one.
pub(super) struct Removal<Key> {
    key: Key,
    from: (u64, u16),
    to: (u64, u16),
}

impl<'a> Removal<&'a [u8]> {
    /// What the rows of this key and generation replaced; and those rows too if they only say
    /// that there is nothing any more.
    pub(super) const fn replaced(key: &'a [u8], generation: u64, is_gone: bool) -> Self {
        let to = if is_gone { (generation, 1) } else { (generation, 0) };
        Self { key, from: (0, 0), to }
    }
}

/// What counts towards the size of a batch.
pub(super) trait BatchItem {
    /// The bytes that a transaction with it has to write, roughly.
    fn byte_count(&self) -> usize;
}

impl BatchItem for Row<'_> {
    fn byte_count(&self) -> usize {
        self.key.len() + self.content.len()
    }
}

impl<Key> BatchItem for Removal<Key> {
    fn byte_count(&self) -> usize {
        REMOVAL_BYTES
    }
}

/// Makes the tables, so that reading need not tell an empty one from a missing one.
pub(super) fn create_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    transaction.open_table(PAGES)?;
    transaction.open_table(VALUES)?;
    transaction.open_table(RECORD)?;
    Ok(transaction.commit()?)
}

/// Writes rows, all or none of them.
pub(super) fn write(
    database: &Database,
    table: Table,
    rows: Vec<Row<'_>>,
) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    let mut open = transaction.open_table(table)?;
    for row in rows {
        open.insert((row.key, row.generation, row.piece), row.content.as_slice())?;
    }
    drop(open);
    Ok(transaction.commit()?)
}

/// Removes rows, all or none of them.
pub(super) fn remove<Key: AsRef<[u8]>>(
    database: &Database,
    table: Table,
    removals: Vec<Removal<Key>>,
) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    let mut open = transaction.open_table(table)?;
    for removal in removals {
        let key = removal.key.as_ref();
        let (from, to) = (removal.from, removal.to);
        open.retain_in((key, from.0, from.1)..(key, to.0, to.1), |_, _| false)?;
    }
    drop(open);
    Ok(transaction.commit()?)
}

/// Replaces the record of the current snapshot.
pub(super) fn write_record(database: &Database, record: &[u8]) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    transaction.open_table(RECORD)?.insert((), record)?;
    Ok(transaction.commit()?)
}

/// The record of the current snapshot, if there is one.
pub(super) fn read_record(database: &Database) -> Result<Option<Vec<u8>>, redb::Error> {
    let table = database.begin_read()?.open_table(RECORD)?;
    let record = table.get(())?.map(|record| record.value().to_vec());
    Ok(record)
}

/// Starts a transaction. Two-phase commit, because clients choose much of what is stored: the
/// database's faster way trusts a checksum that is easy to collide.
fn begin(database: &Database) -> Result<redb::WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

/// Reads a table in the order of keys, of each key the content that the current snapshot has.
pub(super) struct Scan {
    rows: redb::Range<'static, Name, &'static [u8]>,
    /// The generation of the current snapshot.
    generation: u64,
    /// A row that was read too far.
    next: Option<OwnedRow>,
    /// The rows that do not belong to the current snapshot, in their order, so that what was
    /// replaced goes before what says that it is gone.
    stray: Vec<Removal<Vec<u8>>>,
}

/// A key and the content it has in the current snapshot.
pub(super) struct Live {
    pub(super) key: Vec<u8>,
    pub(super) content: Vec<u8>,
}

struct OwnedRow {
    key: Vec<u8>,
    generation: u64,
    piece: u16,
    content: Vec<u8>,
}

impl Scan {
    pub(super) fn new(
        database: &Database,
        table: Table,
        generation: u64,
    ) -> Result<Self, redb::Error> {
        let rows = database.begin_read()?.open_table(table)?.range::<(&[u8], u64, u16)>(..)?;
        Ok(Self { rows, generation, next: None, stray: Vec::new() })
    }

    /// The next key that has a content, and the content.
    pub(super) fn next_live(&mut self) -> Result<Option<Live>, redb::Error> {
        while let Some(first) = self.next_row()? {
            let key = first.key.clone();
            let mut live: Vec<OwnedRow> = Vec::new();
            let mut row = Some(first);
            while let Some(next) = row.take_if(|next| next.key == key) {
                if next.generation > self.generation {
                    self.stray.push(next.name());
                } else {
                    if live.first().is_some_and(|row| row.generation != next.generation) {
                        self.stray.extend(live.drain(..).map(|row| row.name()));
                    }
                    live.push(next);
                }
                row = self.next_row()?;
            }
            self.next = row;
            let mut content = Vec::new();
            live.iter_mut().for_each(|row| content.append(&mut row.content));
            if !content.is_empty() {
                return Ok(Some(Live { key, content }));
            }
            self.stray.extend(live.iter().map(OwnedRow::name));
        }
        Ok(None)
    }

    /// The rows that do not belong to the current snapshot. Ask when everything was read.
    pub(super) fn into_stray(self) -> Vec<Removal<Vec<u8>>> {
        self.stray
    }

    fn next_row(&mut self) -> Result<Option<OwnedRow>, redb::Error> {
        if let Some(row) = self.next.take() {
            return Ok(Some(row));
        }
        let Some((name, content)) = self.rows.next().transpose()? else { return Ok(None) };
        let (key, generation, piece) = name.value();
        let content = content.value().to_vec();
        Ok(Some(OwnedRow { key: key.to_vec(), generation, piece, content }))
    }
}

impl OwnedRow {
    fn name(&self) -> Removal<Vec<u8>> {
        Removal {
            key: self.key.clone(),
            from: (self.generation, self.piece),
            to: (self.generation, self.piece + 1),
        }
    }
}
