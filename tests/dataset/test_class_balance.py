from batchbrew.dataset.class_balance import label_warnings, labels_beyond


def test_nothing_to_say() -> None:
    assert label_warnings({0: 10, 1: 100}, None) == []
    assert label_warnings({}, None) == []


def test_missing_labels_are_named() -> None:
    assert label_warnings({1: 5, 3: 5}, None) == ["2 of the labels 0 to 3 have no record: 0,2"]
    assert label_warnings({0: 1, 1: 0}, ["a", "b", "c"]) == ["2 of the labels 0 to 2 have no record: 1-2"]
    assert label_warnings({2**31 - 1: 1}, None) == [
        "2,147,483,647 of the labels 0 to 2,147,483,647 have no record"
    ]


def test_smallest_and_largest_class_are_named() -> None:
    (warning,) = label_warnings({0: 5, 1: 51, 2: 51}, ["ant", "bee", "cat"])
    assert warning.endswith("5 records of label 0 (ant), 51 of label 1 (bee)")


def test_labels_without_a_name() -> None:
    assert labels_beyond({0: 1, 2: 3, 5: 0, 9: 1}, ["a", "b"]) == [2, 9]
