"""What traffic may become: a history of it, continued, as futures with probabilities."""
