<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;

/** P8: parent and child go on at once, each on connections of its own, whatever the client was doing. */
final class ForkTest extends RedisTestCase
{
    private const FORKS = 104;

    private const COMMANDS = 200;

    public function test_a_hundred_forks_in_every_state_mix_up_no_reply_of_twenty_thousand_on_each_side(): void
    {
        $redis = $this->server();
        $script = Extension::php(__DIR__ . '/Fixtures/fork-storm.php', [], $redis->endpoint(), (string) self::FORKS, (string) self::COMMANDS);
        $process = Process::run($script, seconds: 120.0);
        self::assertSame('', $process->errors());
        $seen = json_decode($process->output(), true);
        self::assertSame(0, $seen['parent']['wrong'], $process->output());
        self::assertSame(0, $seen['parent']['crashed'], $process->output());
        self::assertSame(['right' => self::FORKS * self::COMMANDS, 'wrong' => 0], $seen['children'], $process->output());
        self::assertGreaterThanOrEqual(self::FORKS * self::COMMANDS, $seen['parent']['right'], $process->output());
        // Children close copies, and open their own: what they leave behind is nothing.
        self::assertCount(0, $redis->clients());
    }
}
