-- A database file that is read through a mapping, rows, an index, a join, a vacuum.
PRAGMA mmap_size = 1048576;
PRAGMA journal_mode = WAL;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price INTEGER);
CREATE TABLE sale(item INTEGER, day INTEGER, count INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
  INSERT INTO item SELECT i, 'item ' || i, i * 7 % 100 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
  INSERT INTO sale SELECT i * 13 % 1500, i % 365, i % 5 FROM n;
CREATE INDEX sale_by_item ON sale(item);
SELECT name, sum(count * price) AS total FROM item JOIN sale ON item.id = sale.item GROUP BY name ORDER BY total DESC;
DELETE FROM sale WHERE day > 100;
PRAGMA wal_checkpoint(TRUNCATE);
VACUUM;
