<?php

declare(strict_types=1);

namespace Shop\Tests;

use ResilientRedis;
use Shop\Cart;

require_once __DIR__ . '/RedisTestCase.php';
require_once __DIR__ . '/Cart.php';

final class CartTest extends RedisTestCase
{
    /** A client that outlives tests, as those in containers of frameworks do. */
    private static ?ResilientRedis $kept = null;

    public function test_what_is_put_in_is_there(): void
    {
        $cart = new Cart($this->redis, 'ada');
        $cart->add('tea');
        $cart->add('tea', 2);
        self::assertSame(['tea' => 3], $cart->contents());
    }

    public function test_putting_something_in_costs_two_commands_and_no_new_connection(): void
    {
        $cart = new Cart($this->redis, 'ada');
        self::assertSame(['commands' => 2, 'opened' => 0], $this->cost(fn () => $cart->add('tea')));
    }

    public function test_many_carts_share_one_connection(): void
    {
        foreach (['ada', 'bob', 'eve'] as $customer) {
            (new Cart($this->redis, $customer))->add('tea');
        }
        self::assertSame(['idle' => 1, 'leased' => 0], array_intersect_key($this->redis->stats()['connections'], ['idle' => 0, 'leased' => 0]));
    }

    public function test_a_test_may_leave_a_client_in_any_state(): void
    {
        self::kept()->select(9);
        self::kept()->multi();
        self::assertSame('QUEUED', self::kept()->set('cart:ada', 'queued'));
    }

    public function test_the_next_one_finds_it_in_its_own_database_and_without_a_transaction(): void
    {
        self::kept()->set('where', 'here');
        self::assertSame('here', $this->redis->get('where'));
    }

    public function test_no_connection_of_another_test_is_left(): void
    {
        // The one that setUp() has emptied the database by.
        self::assertSame(1, $this->redis->stats()['connections']['idle']);
        self::assertCount(1, array_unique(array_column($this->redis->stats()['pools'], 'node')));
    }

    /**
     * In a process of its own: nothing was counted before, and the extension starts anew.
     *
     * @runInSeparateProcess
     * @preserveGlobalState disabled
     */
    public function test_a_process_of_its_own_counts_from_zero(): void
    {
        (new Cart($this->redis, 'ada'))->add('tea');
        // setUp() has sent FLUSHDB.
        self::assertSame(3, $this->redis->stats()['commands']);
        self::assertSame(1, $this->redis->stats()['connections']['opened']);
    }

    /** @runInSeparateProcess */
    public function test_a_process_of_its_own_may_have_the_global_state_of_this_one(): void
    {
        $cart = new Cart($this->redis, 'ada');
        $cart->add('tea');
        self::assertSame(['tea' => 1], $cart->contents());
    }

    private static function kept(): ResilientRedis
    {
        return self::$kept ??= new ResilientRedis(getenv('REDIS_URL') ?: 'tcp://127.0.0.1:6379');
    }
}
