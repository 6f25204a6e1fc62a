"""The grammar of the PITR statements, and what the parser does to names.

docs/server.md, Grammar; Names.
"""

from __future__ import annotations

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, internal, is_main

SYNTAX = (
    "SQL parser error: You have an error in your SQL syntax; check the manual that corresponds to "
    "your MatrixOne server version for the right syntax to use. syntax error at line 1 column "
)

WRONG = [
    # of CREATE: the target
    ("CREATE PITR p FOR TABLE d TABLE t RANGE 1 'd'", "31 near \" TABLE t RANGE 1 'd'\";"),
    ("CREATE PITR p FOR TABLE d.t RANGE 1 'd'", "26 near \".t RANGE 1 'd'\";"),
    ("CREATE PITR p FOR TABLE t RANGE 1 'd'", "33 near \" 1 'd'\";"),
    ("CREATE PITR p FOR DATABASE d.t RANGE 1 'd'", "29 near \".t RANGE 1 'd'\";"),
    ("CREATE PITR p FOR DATABASE RANGE 1 'd'", "34 near \" 1 'd'\";"),
    ("CREATE PITR p FOR CLUSTER c RANGE 1 'd'", "27 near \" c RANGE 1 'd'\";"),
    ("CREATE PITR p FOR SYSTEM RANGE 1 'd'", "24 near \" SYSTEM RANGE 1 'd'\";"),
    ("CREATE PITR p FOR RANGE 1 'd'", "23 near \" RANGE 1 'd'\";"),
    ("CREATE PITR p TO ACCOUNT a RANGE 1 'd'", "16 near \" TO ACCOUNT a RANGE 1 'd'\";"),
    # the range
    ("CREATE PITR p", '13 near "";'),
    ("CREATE PITR p RANGE 1", '21 near "";'),
    ("CREATE PITR p RANGE 'd'", "23 near \" 'd'\";"),
    ("CREATE PITR p RANGE -1 'd'", "21 near \" -1 'd'\";"),
    ("CREATE PITR p RANGE +1 'd'", "21 near \" +1 'd'\";"),
    ("CREATE PITR p RANGE 1.5 'd'", "23 near \" 1.5 'd'\";"),
    ("CREATE PITR p RANGE '1' 'd'", "23 near \" '1' 'd'\";"),
    ("CREATE PITR p RANGE 0x1 'd'", "23 near \" 0x1 'd'\";"),
    ("CREATE PITR p RANGE ? 'd'", "21 near \" ? 'd'\";"),
    ("CREATE PITR p RANGE 1 d", '23 near " d";'),
    ("CREATE PITR p RANGE 1 'd' 'd'", "29 near \" 'd'\";"),
    # the name
    ("CREATE PITR RANGE 1 'd'", "19 near \" 1 'd'\";"),
    ("CREATE PITR `` RANGE 1 'd'", "13 near \" `` RANGE 1 'd'\";"),
    ("CREATE PITR 'p' RANGE 1 'd'", "15 near \" 'p' RANGE 1 'd'\";"),
    ("CREATE PITR d.p RANGE 1 'd'", "14 near \".p RANGE 1 'd'\";"),
    ("CREATE PITR select RANGE 1 'd'", "18 near \" select RANGE 1 'd'\";"),
    ("CREATE PITR IF EXISTS p RANGE 1 'd'", "21 near \" EXISTS p RANGE 1 'd'\";"),
    ("CREATE OR REPLACE PITR p RANGE 1 'd'", "22 near \" PITR p RANGE 1 'd'\";"),
    # ALTER and DROP
    ("ALTER PITR p", '12 near "";'),
    ("ALTER PITR p RENAME TO q", '19 near " RENAME TO q";'),
    ("ALTER PITR p FOR DATABASE d RANGE 1 'd'", "16 near \" FOR DATABASE d RANGE 1 'd'\";"),
    ("ALTER PITR p RANGE -1 'd'", "20 near \" -1 'd'\";"),
    ("DROP PITR", '9 near "";'),
    ("DROP PITR p, q", '12 near ", q";'),
    # SHOW
    ("SHOW PITR LIKE 'p'", "14 near \" LIKE 'p'\";"),
    ("SHOW PITR WHERE", '15 near "";'),
    ("SHOW PITR ORDER BY 1", '15 near " ORDER BY 1";'),
    ("SHOW PITRS", '10 near " PITRS";'),
    ("SHOW CREATE PITR p", '16 near " PITR p";'),
    ("SHOW RECOVERY_WINDOW", '20 near "";'),
    ("SHOW RECOVERY_WINDOW FOR CLUSTER", '32 near " CLUSTER";'),
    ("SHOW RECOVERY_WINDOW FOR TABLE d.t", '33 near ".t";'),
    ("SHOW RECOVERY_WINDOW FOR DATABASE", '33 near "";'),
    # RESTORE
    ("RESTORE FROM PITR p", '19 near "";'),
    ("RESTORE DATABASE d FROM PITR p", '30 near "";'),
    ("RESTORE TABLE d t FROM PITR p '2026-01-01 00:00:00'", None),
    ("RESTORE DATABASE d.t FROM PITR p 'x'", None),
    ("RESTORE DATABASE d TABLE d.t FROM PITR p 'x'", "27 near \".t FROM PITR p 'x'\";"),
    ("RESTORE CLUSTER c FROM PITR p 'x'", "17 near \" c FROM PITR p 'x'\";"),
    ("RESTORE FROM PITR p 'x' a", '25 near " a";'),
]


@pytest.mark.parametrize(("statement", "where"), WRONG, ids=[w[0] for w in WRONG])
def test_syntax_errors_are_1064(say: Client, statement: str, where: str | None) -> None:
    error = say.error(statement)
    assert error is not None
    assert error[0] == 1064
    if where is not None:
        assert error[1] == SYNTAX + where


@pytest.mark.parametrize(
    ("target", "level", "shown"),
    [
        ("", "account", ("*", "*")),
        ("FOR ACCOUNT", "account", ("*", "*")),
        ("FOR DATABASE ~", "database", ("~", "*")),
        ("FOR DATABASE ~ TABLE t", "table", ("~", "t")),
        ("FOR TABLE ~ t", "table", ("~", "t")),
        ("for table `~` `t`", "table", ("~", "t")),
    ],
)
def test_targets(their_shop: Client, target: str, level: str, shown: tuple[str, str]) -> None:
    their_shop.ok(f"CREATE PITR ~_p {target} RANGE 1 'd'")
    row = their_shop.ok("SHOW PITR").rows[0]
    assert (row[3], row[5:7]) == (level, shown)


def test_target_account_by_name_is_for_sys(say: Client, server: Server) -> None:
    say.ok("CREATE ACCOUNT ~_a ADMIN_NAME 'admin' IDENTIFIED BY '111'")
    say.ok("CREATE PITR ~_p FOR ACCOUNT ~_a RANGE 1 'd'")
    row = say.ok("SHOW PITR WHERE pitr_name = '~_p'").rows[0]
    assert row[3:7] == ("account", "~_a", "*", "*")


def test_target_cluster_is_for_sys(say: Client) -> None:
    error = say.error("CREATE PITR ~_c FOR CLUSTER RANGE 1 'h'")
    if error == internal("cluster level pitr already exists"):
        pytest.skip("somebody else has the cluster's PITR")
    assert error is None
    row = say.ok("SHOW PITR WHERE pitr_name = '~_c'").rows[0]
    assert row[3:7] == ("cluster", "*", "*", "*")
    assert say.error("CREATE PITR ~_e FOR CLUSTER RANGE 1 'h'") == internal(
        "cluster level pitr already exists"
    )
    say.ok("DROP PITR ~_c")


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("'h'", "h"),
        ("'d'", "d"),
        ("'mo'", "mo"),
        ("'y'", "y"),
        ("'H'", "h"),
        ("'Mo'", "mo"),
        ('"Y"', "y"),
    ],
)
def test_units_in_any_case(shop: Client, written: str, stored: str) -> None:
    shop.ok(f"CREATE PITR ~_p FOR DATABASE ~ RANGE 1 {written}")
    assert shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][7:9] == (1, stored)


def test_range_may_have_leading_zeros(shop: Client) -> None:
    shop.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 0012 'd'")
    assert shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][7:9] == (12, "d")


@pytest.mark.parametrize(
    "statement",
    [
        "create pitr if not exists ~_p for database ~ range 1 'd'",
        "CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd';",
        "/* a */ CREATE /* b */ PITR ~_p FOR DATABASE ~ RANGE 1 'd' -- c",
        "CREATE\n\tPITR\r\n~_p FOR DATABASE ~ RANGE\n1 'd'",
        "CREATE PITR ~_p FOR DATABASE ~ RANGE 1'd'",
    ],
)
def test_case_blanks_comments_and_semicolon(shop: Client, statement: str) -> None:
    shop.ok(statement)
    assert shop.ok("SHOW PITR WHERE pitr_name = '~_p'").column == ["~_p"]


def test_two_statements_in_one_text(shop: Client) -> None:
    """A driver that may send several gets an answer for each."""
    shop.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'; DROP PITR ~_p")
    assert shop.rows("SHOW PITR WHERE pitr_name = '~_p'") == []


NAMES = [
    ("~_MyPitr", "~_mypitr"),
    ("`~_MyPitr`", "~_mypitr"),
    ("`~_a``b`", None),
    ("`~_select`", "~_select"),
    ("`~_a.b`", "~_a.b"),
    ("`~_a;b`", "~_a;b"),
    ("`~_a%b`", "~_a%b"),
    ("`~_$#*`", "~_$#*"),
    ("`~_-- x`", None),
    ("`~_--x`", "~_--x"),
    ("`~_表`", "~_表"),
    ("`~_ÄÖ`", "~_äö"),
    ("`~_ΣΑΣ`", "~_σασ"),
    ("`~_İI`", "~_ii"),
    (r"`~_a\b`", "~_a\b"),
    (r"`~_a\\b`", r"~_a\b"),
    ("~_1", "~_1"),
    ("~_$", "~_$"),
]


@pytest.mark.parametrize(("written", "stored"), NAMES, ids=[n[0] for n in NAMES])
def test_names_are_folded_character_by_character(
    shop: Client, written: str, stored: str | None
) -> None:
    """Back-quoted or not; a backslash is an escape, a doubled back-quote a back-quote."""
    answer = shop(f"CREATE PITR {written} FOR DATABASE ~ RANGE 1 'd'")
    if stored is None:
        assert answer.error == internal("invalid input")
        return
    assert answer.error is None
    assert stored in shop.ok("SHOW PITR").column
    shop.ok(f"DROP PITR {written}")
    assert stored not in shop.ok("SHOW PITR").column


def test_ordinary_sql_folds_names_alike(shop: Client) -> None:
    """A final sigma, and I with a dot, in each place where a name stands."""
    shop.ok(
        "USE ~",
        "CREATE TABLE `tΑΣ` (Id INT PRIMARY KEY, `İsim` VARCHAR(9), `ΧΣ` INT, UNIQUE `kΣ` (`ΧΣ`))",
        "INSERT INTO `TΑΣ` (ID, `İSİM`, `χσ`) VALUES (1, 'a', 2)",
        "ALTER TABLE `tΑΣ` ADD COLUMN `ΒΣ` INT",
        "UPDATE `tΑΣ` SET `βσ` = 3 WHERE isim = 'a'",
    )
    assert shop.ok("SHOW TABLES LIKE 'tα%'").column == ["tασ"]
    assert shop.rows("SELECT isim, `χσ`, `t`.`ΒΣ` FROM `tασ` t WHERE t.`ΒΣ` = 3") == [("a", 2, 3)]
    assert shop.rows("SELECT `İsim` AS `ΛΣ` FROM `tΑΣ` ORDER BY `λσ`") == [("a",)]
    assert shop.rows("WITH `wΣ` AS (SELECT 1 AS `aΣ`) SELECT `Wσ`.`aσ` FROM `Wσ`") == [(1,)]
    shop.ok(
        "CREATE VIEW `vΣ` AS SELECT `Isim` FROM `tΑΣ`",
        "DROP VIEW `VΣ`",
        "RENAME TABLE `tΑΣ` TO `uΣ`",
        "CREATE TABLE ch (`xΣ` INT, CONSTRAINT `fΣ` FOREIGN KEY (`Xσ`) REFERENCES `Uσ` (ID))",
        "DROP TABLE ch",
        "ALTER TABLE `uΣ` DROP COLUMN `βσ`",
        "DROP INDEX `KΣ` ON `uσ`",
    )
    assert shop.rows("SELECT * FROM `Uσ`") == [(1, "a", 2)]


@pytest.mark.parametrize(
    ("statement", "near"),
    [
        ("SELECT a, χσ FROM t", " χσ FROM t"),
        ("SELECT 1 AS χ", " χ"),
        ("SELECT 'é', 1 + ü", " ü"),
        ("SELECT * FROM tü", "ü"),
        ("INSERT INTO tΑΣ VALUES (1)", "ΑΣ VALUES (1)"),
        ("UPDATE ü SET a = 1", " ü SET a = 1"),
        ("DELETE FROM ü", " ü"),
        ("CREATE DATABASE fΣ", "Σ"),
        ("DROP PITR pσ", "σ"),
    ],
)
def test_other_letters_stand_in_quotes_alone(
    shop: Client, server: Server, statement: str, near: str
) -> None:
    code, text = shop.error(statement) or (0, "")
    if is_main(server):
        assert code != 1064
        return
    assert code == 1064
    assert text.endswith(f'near "{near}";')


def test_show_pitr_where_compares_with_the_folded_name(shop: Client) -> None:
    shop.ok("CREATE PITR `~_MyPitr` FOR DATABASE ~ RANGE 1 'd'")
    assert shop.rows("SHOW PITR WHERE pitr_name = '~_MyPitr'") == []
    assert shop.ok("SHOW PITR WHERE pitr_name = '~_mypitr'").column == ["~_mypitr"]


def test_every_identifier_is_folded(shop: Client) -> None:
    shop.ok("CREATE PITR ~_p FOR TABLE `~` `T` RANGE 1 'd'")
    assert shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][5:7] == ("~", "t")
    shop.ok("ALTER PITR ~_P RANGE 2 'd'", "DROP PITR `~_P`")


def test_doubled_back_quote_in_a_target(shop: Client, server: Server) -> None:
    shop.ok("CREATE TABLE ~.`a``b` (id INT)")
    error = shop.error("CREATE PITR ~_p FOR TABLE ~ `a``b` RANGE 1 'd'")
    if server.version < (4,):
        assert error == internal("invalid input")
    else:
        assert error is None
        assert shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][6] == "a`b"


def test_recovery_window_forms(shop: Client) -> None:
    for target in ("ACCOUNT", "ACCOUNT sys", "DATABASE `~`", "TABLE ~ t"):
        assert len(shop.ok(f"SHOW RECOVERY_WINDOW FOR {target}").labels) == 5


@pytest.mark.parametrize(
    "statement",
    [
        "RESTORE FROM PITR ~_p 'x'",
        "RESTORE DATABASE ~ FROM PITR ~_p 'x'",
        "RESTORE DATABASE ~ TABLE t FROM PITR ~_p 'x'",
        "RESTORE ACCOUNT a FROM PITR ~_p 'x'",
        "RESTORE ACCOUNT a FROM PITR ~_p 'x' b",
        "RESTORE ACCOUNT a FROM PITR ~_p 'x' AS b",
        "RESTORE CLUSTER FROM PITR ~_p 'x'",
    ],
)
def test_restore_forms_are_read(say: Client, statement: str) -> None:
    """Read as far as the time, which is looked at first."""
    error = say.error(statement)
    assert error is not None
    assert error[0] == 1105
    assert error[1].startswith('parsing time "x" as ')


@pytest.mark.parametrize("target", ["DATABASE ~", "DATABASE ~ TABLE t"])
def test_restore_account_database_is_4_1(say: Client, server: Server, target: str) -> None:
    error = say.error(f"RESTORE ACCOUNT sys {target} FROM PITR ~_p 'x'")
    assert error is not None
    assert error[0] == (1105 if server.version >= (4, 1) else 1064)
