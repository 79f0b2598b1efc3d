import pytest

from tests.databases.rules import Index, Way, best_way, looks

INDEXES: dict[str, Index] = {
    "_id_": {"key": [("_id", 1)]},
    "user": {"key": [("user", 1), ("_id", -1)]},
    "lane": {"key": [("status", 1), ("slot", 1), ("queued_at", 1)]},
    "slot": {"key": [("slot", 1)], "unique": True, "partialFilterExpression": {"slot": {"$gte": 0}}},
    "name": {"key": [("name", 1)], "unique": True, "partialFilterExpression": {"name": {"$gte": ""}}},
    "told": {"key": [("told_at", 1)], "partialFilterExpression": {"pending": {"$eq": True}}},
}


@pytest.mark.parametrize(
    ("pipeline", "index", "is_sorted"),
    [
        ([{"$match": {"_id": 1, "user": 2}}], "_id_", False),
        ([{"$match": {"user": 2}}, {"$sort": {"_id": -1}}], "user", False),
        # An index is read in both directions.
        ([{"$match": {"user": 2}}, {"$sort": {"_id": 1}}], "user", False),
        ([{"$match": {"user": {"$in": [2, 3]}}}, {"$sort": {"_id": -1}}], "_id_", False),
        ([{"$match": {"user": 2}}, {"$sort": {"title": 1}}], "user", True),
        ([{"$match": {"user": 2}}, {"$project": {"_id": 1}}, {"$sort": {"_id": -1}}], "user", True),
        ([{"$sort": {"_id": 1}}, {"$limit": 1}], "_id_", False),
        (
            [{"$match": {"$and": [{"status": "a"}, {"slot": None}]}}, {"$sort": {"slot": 1, "queued_at": 1}}],
            "lane",
            False,
        ),
        ([{"$match": {"slot": {"$gte": 1}}}], "slot", False),
        # A unique index holds only rows that have a value.
        ([{"$match": {"slot": None}}], None, False),
        ([{"$match": {"slot": {"$lt": 5}}}], None, False),
        ([{"$match": {"name": "ada"}}], "name", False),
        ([{"$match": {"name": {"$nin": ["ada"]}}}], None, False),
        ([{"$match": {"pending": True}}, {"$sort": {"told_at": 1}}], "told", False),
        ([{"$match": {"pending": False}}, {"$sort": {"told_at": 1}}], None, True),
        ([{"$match": {"$or": [{"_id": 1}, {"user": 2}]}}], None, False),
        ([{"$match": {"title": "x"}}], None, False),
        ([], None, False),
    ],
)
def test_an_index_serves_what_the_manual_says(pipeline, index, is_sorted):
    [(collection, asked)] = looks("exports", pipeline)
    assert collection == "exports"
    assert best_way(INDEXES, asked) == Way(index=index, is_sorted=is_sorted)


def test_a_joined_collection_is_looked_into_by_its_own_index():
    join = {"$lookup": {"from": "users", "localField": "user", "foreignField": "_id", "as": "u"}}
    [_, (collection, asked)] = looks("exports", [join])
    assert collection == "users"
    assert best_way({"_id_": {"key": [("_id", 1)]}}, asked).index == "_id_"
    assert best_way({"name": {"key": [("name", 1)]}}, asked).index is None
