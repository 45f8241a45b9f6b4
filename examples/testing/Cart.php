<?php

declare(strict_types=1);

namespace Shop;

use ResilientRedis;

/** The code under test: a cart with what is in it. */
final class Cart
{
    public function __construct(private readonly ResilientRedis $redis, private readonly string $customer)
    {
    }

    public function add(string $article, int $count = 1): void
    {
        $this->redis->pipeline(function (ResilientRedis\Pipeline $pipeline) use ($article, $count): void {
            $pipeline->hincrby($this->key(), $article, $count)->expire($this->key(), 3600);
        });
    }

    /** @return array<string, int> */
    public function contents(): array
    {
        return array_map('intval', $this->redis->hgetall($this->key()));
    }

    private function key(): string
    {
        return "cart:$this->customer";
    }
}
