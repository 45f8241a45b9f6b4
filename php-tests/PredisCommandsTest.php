<?php

declare(strict_types=1);

namespace Tests;

use Predis\Command\HashGetAll;
use ResilientRedis;
use ResilientRedis\Pipeline;
use ResilientRedis\Transaction;
use Tests\Fixtures\IncrementBoth;
use Tests\Fixtures\Reversed;
use Tests\Support\RedisTestCase;

if (stream_resolve_include_path('Predis/Autoloader.php') !== false) {
    require_once 'Predis/Autoloader.php';
    \Predis\Autoloader::register();
} else {
    require_once __DIR__ . '/Fixtures/commands/like-predis.php';
}
require_once __DIR__ . '/Fixtures/commands/predis.php';

/** Commands and scripts whose classes extend those of Predis: of the package, where it is installed. */
final class PredisCommandsTest extends RedisTestCase
{
    /** What Predis calls it since 2.0. */
    private const LATER = 'Predis\Command\Redis\HGETALL';

    /** @return class-string */
    private static function hashGetAll(): string
    {
        return class_exists(HashGetAll::class) ? HashGetAll::class : self::LATER;
    }

    public function test_a_program_s_scripts_and_commands_go_on(): void
    {
        self::shared()->command('SCRIPT', 'FLUSH');
        $redis = self::client([
            'commands' => ['both' => IncrementBoth::class, 'reversed' => Reversed::class, 'all' => self::hashGetAll()],
            'prefix' => 'app:',
        ]);
        self::assertSame([2, 4], [$redis->both('a', 'b', 1), $redis->BOTH('a', 'b', 1)]);
        self::assertSame(['2', '2'], self::shared()->command('MGET', 'app:a', 'app:b'));
        $redis->set('k', 'text');
        $redis->hset('h', 'f', 1);
        self::assertSame(['txet', ['f' => '1']], [$redis->reversed('k'), $redis->all('h')]);
        $record = static fn (Pipeline|Transaction $queue) => $queue->both('a', 'b', 1)->all('h')->reversed('k');
        foreach ([[], ['atomic' => true]] as $round => $options) {
            self::assertSame([6 + 2 * $round, ['f' => '1'], 'txet'], $redis->pipeline($options, $record));
        }
        self::assertSame([10, ['f' => '1'], 'txet'], $redis->transaction($record));
    }

    public function test_command_objects_of_predis_are_executed(): void
    {
        $redis = new ResilientRedis(self::shared()->endpoint());
        $redis->hset('h', 'f', 1);
        $command = new (self::hashGetAll())();
        $command->setArguments(['h']);
        self::assertSame(['f' => '1'], $redis->executeCommand($command));
        self::assertSame([['f' => '1']], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->executeCommand($command)));
        $script = new IncrementBoth();
        $script->setArguments(['a', 'b', 3]);
        self::assertSame(6, $redis->executeCommand($script));
    }
}
