from lnc_service.engine import delivery_name, job_and_destination, proof_name, queue_of


def test_names_of_deliveries_and_proofs_lead_back_to_job_and_destination():
    for destination in ("PACS", "a > b", "proof:x"):
        for name in (delivery_name, proof_name):
            assert job_and_destination(name("a-1", destination)) == ("a-1", destination)


def test_every_workflow_goes_back_to_the_queue_that_it_came_from():
    names = ("a-1", delivery_name("a-1", "PACS"), proof_name("a-1", "PACS"))
    assert [queue_of(name) for name in names] == ["studies", "deliveries", "proofs"]
